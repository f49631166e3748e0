/** What lets the pods of a cache read the ConfigMaps with the keys of one prewarm: a Role and its RoleBinding. */
import { API_VERSION, LABEL, MANAGED_BY, PART_OF, PREWARM } from '#crds/names.ts';
import type { Body, Role, RoleBinding } from '#operator/api/kubernetes.ts';
import type { Manifest, ManifestMetadata } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { childName } from './labels.ts';

const RBAC = 'rbac.authorization.k8s.io';

/** In the order of creation; empty without `keysFrom`. */
export function prewarmKeys(prewarm: OrcaPrewarm, cache: OrcaCache): Manifest[] {
  const names = prewarm.spec.targets.flatMap(({ keysFrom }) => keysFrom?.configMapRef.name ?? []);
  if (names.length === 0) return [];
  const metadata = metadataOf(prewarm, cache);
  const role = {
    apiVersion: `${RBAC}/v1`,
    kind: 'Role',
    metadata,
    rules: [
      { apiGroups: [''], resources: ['configmaps'], resourceNames: [...new Set(names)].toSorted(), verbs: ['get'] },
    ],
  } satisfies Manifest & Body<Role>;
  const { namespace } = cache.metadata;
  const binding = {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: RBAC, kind: 'Role', name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: childName.account(cache), namespace }],
  } satisfies Manifest & Body<RoleBinding>;
  return [role, binding];
}

/** The prewarm is the owner, so garbage collection deletes them with it. */
function metadataOf({ metadata }: OrcaPrewarm, cache: OrcaCache): ManifestMetadata {
  const { name, namespace, uid } = metadata;
  return {
    name: `${name}-keys`,
    namespace,
    labels: {
      [LABEL.name]: 'orcacache',
      [LABEL.instance]: cache.metadata.name,
      [LABEL.component]: 'prewarm',
      [LABEL.partOf]: PART_OF,
      [LABEL.managedBy]: MANAGED_BY,
    },
    ownerReferences: [
      { apiVersion: API_VERSION, kind: PREWARM.kind, name, uid, controller: true, blockOwnerDeletion: true },
    ],
  };
}
