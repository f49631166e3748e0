/**
 * Fields that an apply sent and that differ in its response: an API server older than the field drops it, and an admission
 * webhook may replace a value, such as an image by that of a mirror. To apply again would change nothing, in every pass; so
 * such a difference does not count until the manifest or the live value changes.
 */
import type { Live, Manifest } from '#operator/api/manifest.ts';
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import { diff, differences, type Difference } from './diff.ts';
import { digest } from './ownership.ts';

/** By then, the webhook may have been deleted, or the API server replaced by a newer one. */
const APPLY_AGAIN_MS = 60 * 60_000;

/** Those of the children of one cache. */
export interface UnacceptedFields {
  /** Whether the object differs from the manifest in nothing but what an apply could not change. */
  areTheOnly(manifest: Manifest, live: Live): boolean;
  /** `live`: the response to an apply of the manifest. */
  applied(manifest: Manifest, live: Live): void;
}

export interface AllUnacceptedFields {
  of(key: string, log: Log): UnacceptedFields;
  /** The cache is deleted. */
  forget(key: string): void;
}

interface Known {
  readonly digest: string;
  /** Path and live value. */
  readonly differences: ReadonlySet<string>;
  readonly atMs: number;
}

/** For children that no API server and no webhook changes. */
export const allAccepted: UnacceptedFields = {
  areTheOnly: (manifest, live) => diff(manifest, live) === undefined,
  applied() {},
};

export function openUnacceptedFields(clock: Clock): AllUnacceptedFields {
  /** By cache, then by uid of the child: only those that have such fields. */
  const known = new Map<string, Map<string, Known>>();
  return {
    of: (key, log) => ({
      areTheOnly(manifest, live) {
        const found = [...differences(manifest, live)];
        if (found.length === 0) return true;
        const last = known.get(key)?.get(live.metadata.uid);
        return (
          last !== undefined &&
          last.digest === digest(manifest) &&
          clock.now() - last.atMs < APPLY_AGAIN_MS &&
          found.every((difference) => last.differences.has(nameOf(difference)))
        );
      },
      applied(manifest, live) {
        const { uid } = live.metadata;
        const found = [...differences(manifest, live)];
        if (found.length === 0) return void known.get(key)?.delete(uid);
        const children = known.get(key) ?? new Map<string, Known>();
        known.set(key, children);
        const names = new Set(found.map(nameOf));
        const before = children.get(uid)?.differences ?? new Set();
        children.set(uid, { digest: digest(manifest), differences: names, atMs: clock.now() });
        if (names.isSubsetOf(before)) return;
        log.warn('the API server, or an admission webhook, did not accept fields of a child', {
          kind: manifest.kind,
          child: manifest.metadata.name,
          fields: found.map(({ path }) => path),
        });
      },
    }),
    forget: (key) => void known.delete(key),
  };
}

function nameOf({ path, live }: Difference): string {
  return `${path}=${JSON.stringify(live)}`;
}
