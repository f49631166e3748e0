/** Names and metadata that all children of a cache share. */
import type { ManifestMetadata } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { API_VERSION, KIND, LABEL, MANAGED_BY, PART_OF } from '#crds/names.ts';

const APP = 'orcacache';
const COMPONENT = 'cache';

/** What selects the pods of a cache. A Deployment's selector can't change, so this is as small as it can be. */
export function selectorLabels(cache: OrcaCache): Record<string, string> {
  return { [LABEL.name]: APP, [LABEL.instance]: cache.metadata.name, [LABEL.component]: COMPONENT };
}

export function childLabels(cache: OrcaCache): Record<string, string> {
  return { ...selectorLabels(cache), [LABEL.partOf]: PART_OF, [LABEL.managedBy]: MANAGED_BY };
}

/** The same labels as a selector in text form, as `status.selector` and list calls want it. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Every child belongs to its cache by a controller reference, so that garbage collection does the deletion. */
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

/** The names of the children; what one child refers to in another it takes from here. */
export const childName = {
  workload: (cache: OrcaCache) => cache.metadata.name,
  account: (cache: OrcaCache) => `${cache.metadata.name}-cache`,
  peerAuth: (cache: OrcaCache) => `${cache.metadata.name}-peer-auth`,
  config: (cache: OrcaCache, hash: string) => `${cache.metadata.name}-config-${hash}`,
  runtimeConfig: (cache: OrcaCache) => `${cache.metadata.name}-runtime`,
  peers: (cache: OrcaCache) => `${cache.metadata.name}-peers`,
} as const;
