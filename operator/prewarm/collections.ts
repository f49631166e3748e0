/** What the controller of the prewarms watches. Caches and ConfigMaps that are missing are looked for again. */
import { API_VERSION, PREWARM } from '#crds/names.ts';
import { keyOf, requestedState, type Collection } from '#operator/api/collection.ts';
import { collectionPath } from '#operator/api/manifest.ts';

/** The prewarms, by what users have requested. */
export const PREWARMS: Collection = {
  path: (namespace) => collectionPath(API_VERSION, PREWARM.plural, namespace),
  keysOf: (prewarm) => [keyOf(prewarm)],
  versionOf: requestedState,
  resync: true,
  // The CRDs of an older release.
  mayBeAbsent: true,
};

export const PREWARM_COLLECTIONS: readonly Collection[] = [PREWARMS];

export function prewarmPath(namespace: string, name: string): string {
  return `${collectionPath(API_VERSION, PREWARM.plural, namespace)}/${name}`;
}
