/** Prepares an API server for the operator: installs the CRDs and the chart's RBAC. */
import { readFileSync } from 'node:fs';
import { vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { customResourceDefinition, DEFINITIONS } from '#crds/crd.ts';
import { API_VERSION } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { OPERATOR_USER } from '#test/support/control-plane.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const RBAC = 'rbac.authorization.k8s.io/v1';
const RENDERED = 'test/golden/charts/orcacache';
/** The file of values with which the chart was rendered. */
export type Rendering = 'minimal' | 'full';
const ESTABLISH_TIMEOUT_MS = 30_000;
/** The namespace of the rendered release. */
export const RELEASE_NAMESPACE = 'orca-system';

export async function installCrds(kube: KubeClient): Promise<void> {
  for (const definition of DEFINITIONS) {
    await kube.request('POST', CRDS, {
      body: customResourceDefinition(definition),
      query: { fieldValidation: 'Strict' },
    });
    // The CRD is established just before the API server serves the resource.
    await vi.waitFor(() => kube.request('GET', collectionPath(API_VERSION, definition.names.plural)), {
      timeout: ESTABLISH_TIMEOUT_MS,
      interval: 200,
    });
  }
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly roleRef?: object;
}

/** Exactly the roles that the chart renders, bound to the operator's user instead of its ServiceAccount. */
export async function grantChartRoles(
  kube: KubeClient,
  rendering: Rendering = 'minimal',
): Promise<{ readonly leaseName: string }> {
  await kube.request('POST', '/api/v1/namespaces', { body: { metadata: { name: RELEASE_NAMESPACE } } });
  const documents = parseAllDocuments(readFileSync(`${RENDERED}/${rendering}.yaml`, 'utf8'));
  const objects = documents.flatMap((document) => (document.toJS() as Rendered | null) ?? []);
  const wanted = ['ClusterRole', 'Role', 'ClusterRoleBinding', 'RoleBinding'];
  let leaseName = '';
  for (const object of objects.filter(({ kind }) => wanted.includes(kind))) {
    const { namespace } = object.metadata;
    const path = collectionPath(RBAC, `${object.kind.toLowerCase()}s`, namespace);
    const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: OPERATOR_USER }];
    await kube.request('POST', path, { body: object.roleRef === undefined ? object : { ...object, subjects } });
  }
  for (const object of objects) {
    const { spec } = object as {
      spec?: { template?: { spec?: { containers?: { env?: { name: string; value?: string }[] }[] } } };
    };
    const env = spec?.template?.spec?.containers?.[0]?.env ?? [];
    leaseName ||= env.find(({ name }) => name === 'LEASE_NAME')?.value ?? '';
  }
  return { leaseName };
}
