/** Binds the pods' ServiceAccount to its Role. */
import type { Body, RoleBinding } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName } from './labels.ts';

export function roleBinding(cache: OrcaCache) {
  const name = childName.account(cache);
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: childMetadata(cache, name),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: cache.metadata.namespace }],
  } satisfies Manifest & Body<RoleBinding>;
}
