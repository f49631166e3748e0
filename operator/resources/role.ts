/** What the pods may do: see who their peers are, in their own namespace, and nothing else. */
import type { Body, Role } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName } from './labels.ts';

export function role(cache: OrcaCache) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: childMetadata(cache, childName.account(cache)),
    // Not narrowed by name: slices have generated names, and list and watch by label can't be narrowed anyway.
    rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] }],
  } satisfies Manifest & Body<Role>;
}
