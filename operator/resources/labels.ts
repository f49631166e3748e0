/** Names, labels and owner references of the children of a cache. */
import { API_VERSION, KIND, LABEL, MANAGED_BY, PART_OF } from '#crds/names.ts';
import type { ManifestMetadata } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';

const APP = 'orcacache';
const COMPONENT = 'cache';

/** The pod selector of a cache. A Deployment's selector is immutable, so it has the fewest labels possible. */
export function selectorLabels(cache: OrcaCache): Record<string, string> {
  return { [LABEL.name]: APP, [LABEL.instance]: cache.metadata.name, [LABEL.component]: COMPONENT };
}

export function childLabels(cache: OrcaCache): Record<string, string> {
  return { ...selectorLabels(cache), [LABEL.partOf]: PART_OF, [LABEL.managedBy]: MANAGED_BY };
}

/** Labels as a selector string, for `status.selector` and list requests. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Every child has its cache as controller owner, so garbage collection deletes it with the cache. */
export function childMetadata(
  cache: OrcaCache,
  name: string,
  extra: { readonly annotations?: Readonly<Record<string, string>> } = {},
): ManifestMetadata {
  const annotations = extra.annotations ?? {};
  return {
    name,
    namespace: cache.metadata.namespace,
    labels: childLabels(cache),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ownerReferences: [
      {
        apiVersion: API_VERSION,
        kind: KIND,
        name: cache.metadata.name,
        uid: cache.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** The names of the children, also for references between them. */
export const childName = {
  workload: (cache: OrcaCache) => cache.metadata.name,
  account: (cache: OrcaCache) => `${cache.metadata.name}-cache`,
  peerAuth: (cache: OrcaCache) => `${cache.metadata.name}-peer-auth`,
  config: (cache: OrcaCache, hash: string) => `${cache.metadata.name}-config-${hash}`,
  runtimeConfig: (cache: OrcaCache) => `${cache.metadata.name}-runtime`,
  peers: (cache: OrcaCache) => `${cache.metadata.name}-peers`,
} as const;
