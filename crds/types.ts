/** The resources as the API server returns them, with defaults applied. The types are inferred from the schema. */
import type { Infer } from '#crds/schema/json-schema.ts';
import type { prewarmSpec } from '#crds/schema/prewarm-spec.ts';
import type { prewarmStatus } from '#crds/schema/prewarm-status.ts';
import type { spec } from '#crds/schema/spec.ts';
import type { status } from '#crds/schema/status.ts';
import type { API_VERSION, KIND, PREWARM } from './names.ts';

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type OrcaCacheSpec = Infer<typeof spec>;
export type OrcaCacheStatus = Infer<typeof status>;
export type Condition = NonNullable<OrcaCacheStatus['conditions']>[number];
export type PodOptions = OrcaCacheSpec['pod'];
export type LogLevel = OrcaCacheSpec['logLevel'];

export interface OrcaCache {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly metadata: ObjectMeta;
  readonly spec: OrcaCacheSpec;
  readonly status?: OrcaCacheStatus;
}

export type OrcaPrewarmSpec = Infer<typeof prewarmSpec>;
export type OrcaPrewarmStatus = Infer<typeof prewarmStatus>;
/** As a user writes it: fields with a default may be omitted. */
export type PrewarmSpecInput = Partial<OrcaPrewarmSpec> & Pick<OrcaPrewarmSpec, 'cacheRef' | 'targets'>;
export type PrewarmTarget = OrcaPrewarmSpec['targets'][number];

export interface OrcaPrewarm {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof PREWARM.kind;
  readonly metadata: ObjectMeta;
  readonly spec: OrcaPrewarmSpec;
  readonly status?: OrcaPrewarmStatus;
}
