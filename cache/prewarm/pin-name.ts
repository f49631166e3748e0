/** Names of pins: one for each run of a prewarm. Caches that share a cachestore share its pins, so a name has the uid. */
import type { PrewarmResource } from './resource.ts';

/** A pin's name has 63 characters at most; the number of a run has 10. */
const NAME_LENGTH = 40;
const UID_LENGTH = 8;

export function pinName({
  name,
  uid,
  run,
}: {
  readonly name: string;
  readonly uid: string;
  readonly run: number;
}): string {
  return `${stemOf(name, uid)}${run}`;
}

/** The prewarm that a pin belongs to. */
export function pinOwner(
  pin: string,
  resources: ReadonlyMap<string, PrewarmResource>,
): { readonly prewarm: string; readonly uid: string } | undefined {
  for (const [uid, { metadata }] of resources) {
    const { name = '' } = metadata;
    if (pin.startsWith(stemOf(name, uid))) return { prewarm: name, uid };
  }
  return undefined;
}

function stemOf(name: string, uid: string): string {
  return `${name.slice(0, NAME_LENGTH)}-${uid.slice(0, UID_LENGTH)}-`;
}
