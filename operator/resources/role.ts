/** The pods' permissions: to read, in their own namespace, EndpointSlices for peer discovery, and the prewarms to do. */
import { GROUP, PREWARM } from '#crds/names.ts';
import type { Body, Role } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName } from './labels.ts';

export function role(cache: OrcaCache) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: childMetadata(cache, childName.account(cache)),
    // No resourceNames: names are generated or the user's, and RBAC cannot restrict list and watch by label.
    rules: [
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [GROUP], resources: [PREWARM.plural], verbs: ['get', 'list', 'watch'] },
    ],
  } satisfies Manifest & Body<Role>;
}
