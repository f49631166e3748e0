/** What the controller of the caches watches: the caches, and their children by label. */
import { API_VERSION, KIND, LABEL, MANAGED_BY, PLURAL } from '#crds/names.ts';
import { anyChange, keyOf, ownerKeys, requestedState, type Collection } from '#operator/api/collection.ts';
import { childCollectionPath, collectionPath, LISTED_KINDS } from '#operator/api/manifest.ts';

export const CACHE_COLLECTIONS: readonly Collection[] = [
  {
    path: (namespace) => collectionPath(API_VERSION, PLURAL, namespace),
    keysOf: (cache) => [keyOf(cache)],
    versionOf: requestedState,
    resync: true,
  },
  ...LISTED_KINDS.map((kind) => ({
    path: (namespace?: string) => childCollectionPath(kind, namespace),
    query: { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` },
    keysOf: (child: Parameters<Collection['keysOf']>[0]) => ownerKeys(KIND, child),
    versionOf: anyChange,
    resync: false,
  })),
];
