/** What the walker reads of an OrcaPrewarm. The API server has validated it; what is malformed all the same is left out. */
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity } from '#crds/quantity.ts';
import type { KubeObject } from '#shared/kube/types.ts';

export type TargetSpec =
  | {
      readonly kind: 'prefix';
      readonly bucket: string;
      readonly prefix: string;
      readonly include: readonly string[];
      readonly exclude: readonly string[];
    }
  | {
      readonly kind: 'manifest';
      readonly bucket: string;
      readonly manifest: { readonly bucket: string; readonly key: string };
    }
  | {
      readonly kind: 'keys';
      readonly bucket: string;
      readonly configMap: { readonly name: string; readonly key: string };
    };

/** One run of a prewarm. */
export interface PrewarmRun {
  readonly uid: string;
  readonly name: string;
  /** From 1. */
  readonly run: number;
  readonly targets: readonly TargetSpec[];
  /** From the origin, of the whole cluster; undefined = no limit. */
  readonly maxBytesPerSecond: number | undefined;
  /** Chunks at once in the whole cluster. */
  readonly parallelism: number;
  /** Undefined = not pinned; `ttlMs` undefined = until the resource is deleted. */
  readonly pin: { readonly ttlMs: number | undefined } | undefined;
}

/** The fields of the resource, which a pod of another release than the CRD's may not know, or miss. */
export interface PrewarmResource extends KubeObject {
  readonly spec?: {
    readonly cacheRef?: { readonly name?: string };
    readonly targets?: readonly {
      readonly bucket?: string;
      readonly prefix?: string;
      readonly include?: readonly string[];
      readonly exclude?: readonly string[];
      readonly manifest?: { readonly bucket?: string; readonly key?: string };
      readonly keysFrom?: { readonly configMapRef?: { readonly name?: string; readonly key?: string } };
    }[];
    readonly maxBytesPerSecond?: string | number;
    readonly parallelism?: number;
    readonly pin?: { readonly ttl?: string };
    readonly suspend?: boolean;
  };
  readonly status?: { readonly activeRun?: number };
}

/** The schema's default, and its limit. */
const PARALLELISM = { default: 32, max: 1024 } as const;

/** The run that is to be walked now; undefined = none. */
export function wantedRun(resource: PrewarmResource): PrewarmRun | undefined {
  const { metadata, spec = {}, status = {} } = resource;
  const { uid, name, deletionTimestamp } = metadata;
  const { activeRun = 0 } = status;
  if (uid === undefined || name === undefined || activeRun < 1) return undefined;
  if (deletionTimestamp !== undefined || spec.suspend === true) return undefined;
  const { parallelism = PARALLELISM.default, maxBytesPerSecond, pin, targets = [] } = spec;
  return {
    uid,
    name,
    run: activeRun,
    targets: targets.map(targetOf),
    maxBytesPerSecond: maxBytesPerSecond === undefined ? undefined : parseQuantity(maxBytesPerSecond),
    parallelism: Math.min(PARALLELISM.max, Math.max(1, Math.floor(parallelism))),
    pin: pin && { ttlMs: pin.ttl === undefined ? undefined : parseDuration(pin.ttl) },
  };
}

type TargetFields = NonNullable<NonNullable<PrewarmResource['spec']>['targets']>[number];

function targetOf(fields: TargetFields): TargetSpec {
  const { bucket = '', prefix = '', include = [], exclude = [], manifest, keysFrom } = fields;
  if (manifest !== undefined)
    return { kind: 'manifest', bucket, manifest: { bucket: manifest.bucket ?? bucket, key: manifest.key ?? '' } };
  const { name, key } = keysFrom?.configMapRef ?? {};
  if (name !== undefined && key !== undefined) return { kind: 'keys', bucket, configMap: { name, key } };
  return { kind: 'prefix', bucket, prefix, include, exclude };
}
