/** The manifests of the guides, checked by a real API server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { collectionPath } from '#operator/api/manifest.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { openControlPlane, type ControlPlane } from '#test/support/control-plane.ts';
import { fencedBlock } from '#test/support/fenced-blocks.ts';
import { installCrds } from './install.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const ESTABLISH_TIMEOUT_MS = 30_000;
const NAMESPACE = 'ml';
const EXPOSE = 'docs/guides/expose.md';
const PLURALS: Readonly<Record<string, string>> = {
  Gateway: 'gateways',
  HTTPRoute: 'httproutes',
  Ingress: 'ingresses',
  OrcaCache: 'orcacaches',
  PersistentVolume: 'persistentvolumes',
  PersistentVolumeClaim: 'persistentvolumeclaims',
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

let plane: ControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await openControlPlane();
  kube = plane.kube;
  await kube.request('POST', '/api/v1/namespaces', { body: { metadata: { name: NAMESPACE } } });
  await installCrds(kube);
  const folder = process.env['ORCACACHE_GATEWAY_CRDS'];
  if (folder === undefined) throw new Error('ORCACACHE_GATEWAY_CRDS is not set: eval "$(hack/tools env)"');
  for (const file of readdirSync(folder))
    await kube.request('POST', CRDS, { body: parse(readFileSync(join(folder, file), 'utf8')) as object });
  for (const plural of ['gateways', 'httproutes'])
    await vi.waitFor(() => kube.request('GET', collectionPath('gateway.networking.k8s.io/v1', plural)), {
      timeout: ESTABLISH_TIMEOUT_MS,
      interval: 200,
    });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** Rejects a field that does not exist, as `kubectl apply` does. */
async function accepted(manifest: Manifest): Promise<string> {
  const plural = PLURALS[manifest.kind];
  if (plural === undefined) throw new Error(`no plural for ${manifest.kind}`);
  const path = collectionPath(manifest.apiVersion, plural, manifest.metadata.namespace);
  await kube.request('POST', path, { body: manifest, query: { fieldValidation: 'Strict', dryRun: 'All' } });
  return manifest.kind;
}

test.for([
  [EXPOSE, 'LoadBalancer', ['OrcaCache']],
  [EXPOSE, 'Gateway API', ['Gateway', 'HTTPRoute']],
  [EXPOSE, 'Ingress', ['Ingress']],
  ['docs/guides/recipes.md', 'Mountpoint', ['PersistentVolume', 'PersistentVolumeClaim']],
] as const)('%s: the manifests of %s are accepted', async ([page, heading, kinds]) => {
  const documents = parseAllDocuments(fencedBlock(page, heading, 'yaml')).map(
    (document) => document.toJS() as Manifest,
  );
  const results: string[] = [];
  for (const manifest of documents) results.push(await accepted(manifest));
  expect(results).toEqual(kinds);
});

test('a misspelled field is refused', async () => {
  const [route] = parseAllDocuments(fencedBlock(EXPOSE, 'Ingress', 'yaml').replace('pathType', 'pathKind'));
  await expect(accepted(route?.toJS() as Manifest)).rejects.toThrow('pathKind');
});
