/**
 * Kubernetes objects as JSON: what the operator sends (`Manifest`), what the API server returns (`Live`), and the
 * URL path of each kind.
 */
import type { KubeObject, OwnerReference } from '#shared/kube/types.ts';

export interface ManifestMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
}

/** A desired child: only the fields that the operator sets. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: ChildKind;
  readonly metadata: ManifestMetadata;
}

/** An object as the API server returned it. Other fields are typed where they are read (`observed.ts`). */
export interface Live extends KubeObject {
  readonly metadata: KubeObject['metadata'] & {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

/** Every kind of child, with its API version and resource name. */
export const CHILD_KINDS = {
  ServiceAccount: { apiVersion: 'v1', plural: 'serviceaccounts' },
  Role: { apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'roles' },
  RoleBinding: { apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'rolebindings' },
  Secret: { apiVersion: 'v1', plural: 'secrets' },
  ConfigMap: { apiVersion: 'v1', plural: 'configmaps' },
  Service: { apiVersion: 'v1', plural: 'services' },
  Deployment: { apiVersion: 'apps/v1', plural: 'deployments' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', plural: 'poddisruptionbudgets' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies' },
} as const;
export type ChildKind = keyof typeof CHILD_KINDS;

/**
 * The kinds that are listed and watched by label. Secrets are excluded: the operator may only get them by name, so it
 * never holds Secrets that are unrelated to a cache.
 */
export const LISTED_KINDS = [
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'Service',
  'Deployment',
  'PodDisruptionBudget',
  'NetworkPolicy',
] as const satisfies readonly ChildKind[];

/**
 * `/api/v1/…` for the core group, `/apis/<group>/<version>/…` for other groups; without `namespace`, all namespaces.
 */
export function collectionPath(apiVersion: string, plural: string, namespace?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}

export function childCollectionPath(kind: ChildKind, namespace?: string): string {
  const { apiVersion, plural } = CHILD_KINDS[kind];
  return collectionPath(apiVersion, plural, namespace);
}

export function childPath(kind: ChildKind, namespace: string, name: string): string {
  return `${childCollectionPath(kind, namespace)}/${name}`;
}

export function controllerOf(object: Live): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}
