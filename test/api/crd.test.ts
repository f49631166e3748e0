import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { customResourceDefinition, DEFINITIONS } from '#crds/crd.ts';
import type { OrcaCache } from '#crds/types.ts';
import { PATCH, type KubeClient } from '#shared/kube/client.ts';
import { badCases, goodCases, unknownCases } from '#test/crds/cases.ts';
import { accepted, sampleWith } from '#test/crds/sample.ts';
import { ADMIN, openControlPlane, type ControlPlane } from '#test/support/control-plane.ts';
import { installCrds } from './install.ts';
import { refusal } from './refusal.ts';

const run = promisify(execFile);
const NAMESPACE = 'crd-test';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const CACHES = `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcacaches`;

interface Definition {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

let plane: ControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await openControlPlane();
  kube = plane.kube;
  await installCrds(kube);
  await kube.request('POST', '/api/v1/namespaces', { body: { metadata: { name: NAMESPACE } } });
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
});

async function conditions(crdName: string): Promise<Record<string, string>> {
  const { status } = await kube.request<Definition>('GET', `${CRDS}/${crdName}`);
  return Object.fromEntries((status?.conditions ?? []).map(({ type, status: value }) => [type, value]));
}

async function create(changes: Readonly<Record<string, unknown>>, dryRun = true): Promise<OrcaCache> {
  return kube.request<OrcaCache>('POST', CACHES, {
    body: sampleWith({ 'metadata.namespace': NAMESPACE, ...changes }),
    query: { fieldValidation: 'Strict', ...(dryRun ? { dryRun: 'All' } : {}) },
  });
}

/** Only the API server runs: no operator and no node. */
describe.for(DEFINITIONS)('the CRD $names.crdName on a real API server', (definition) => {
  const { crdName } = definition.names;

  test('is structural, and its names are accepted', async () => {
    // The conditions are set just after the resource is served.
    await expect
      .poll(() => conditions(crdName), { timeout: 30_000 })
      .toEqual({
        Established: 'True',
        NamesAccepted: 'True',
      });
  });

  test('is accepted with strict validation, also over an installed version', async () => {
    await kube.request('PATCH', `${CRDS}/${crdName}`, {
      body: customResourceDefinition(definition),
      contentType: PATCH.apply,
      query: { fieldManager: 'crd-test', force: true, dryRun: 'All', fieldValidation: 'Strict' },
    });
  });
});

describe('an OrcaCache on a real API server', () => {
  test.for(badCases)('rejects $name with the path of the field', async ({ changes, path }) => {
    const error = await refusal(create(changes));
    expect(error.status).toBe(422);
    // The API server writes map keys as [cpu].
    const fields = (error.details?.causes ?? []).map(({ field }) => field?.replaceAll(/\[([a-z]+)\]/g, '.$1'));
    // The rule about the name is at the root, which has no path.
    expect(fields).toContain(path === 'metadata.name' ? '<nil>' : path);
    for (const { message } of error.details?.causes ?? []) expect(message).not.toContain('evaluat');
  });

  test.for(unknownCases)('rejects $name as unknown', async ({ changes, path }) => {
    const error = await refusal(create(changes));
    expect(error.status).toBe(400);
    expect(error.message).toContain(`unknown field "${path}"`);
  });

  test.for(goodCases)('accepts $name, with the same defaults as this program', async ({ changes }) => {
    const created = await create(changes);
    expect(created.spec).toEqual(accepted(sampleWith(changes)).spec);
    expect(created.status).toEqual({ observedGeneration: -1 });
  });

  test('rejects a change of the origin id and accepts other changes', async () => {
    await create({ 'metadata.name': 'kept' }, false);
    const merge = async (spec: object) =>
      kube.request<OrcaCache>('PATCH', `${CACHES}/kept`, { body: { spec }, contentType: PATCH.merge });
    expect(await refusal(merge({ origin: { id: 'other' } }))).toMatchObject({
      status: 422,
      details: { causes: [{ field: 'spec.origin.id', message: expect.stringContaining('is immutable') as string }] },
    });
    const changed = await merge({ origin: { s3: { endpoint: 'https://moved.example.org' } } });
    expect(changed.metadata.generation).toBe(2);
  });

  test('has a scale subresource, and status updates do not change the generation', async () => {
    await create({ 'metadata.name': 'scaled' }, false);
    const status = { observedGeneration: 1, replicas: 2, readyReplicas: 1, selector: 'a=b', endpoint: 'http://scaled' };
    const patched = await kube.request<OrcaCache>('PATCH', `${CACHES}/scaled/status`, {
      body: { status },
      contentType: PATCH.merge,
      query: { fieldValidation: 'Strict' },
    });
    expect(patched.metadata.generation).toBe(1);
    const scale = await kube.request('PATCH', `${CACHES}/scaled/scale`, {
      body: { spec: { replicas: 5 } },
      contentType: PATCH.merge,
    });
    expect(scale).toMatchObject({ spec: { replicas: 5 }, status: { replicas: 2, selector: 'a=b' } });
    expect((await kube.request<OrcaCache>('GET', `${CACHES}/scaled`)).spec.replicas).toBe(5);
  });

  test.for(['', '.spec', '.spec.origin', '.spec.cacheStore.s3', '.spec.edge.auth', '.status'])(
    'is explained by kubectl: orcacache%s',
    async (path) => {
      const { stdout } = await run('kubectl', [
        `--kubeconfig=${plane.kubeconfig(ADMIN)}`,
        'explain',
        `orcacache${path}`,
      ]);
      expect(stdout).toContain('DESCRIPTION:');
      expect(stdout).not.toContain('<no description>');
      // Each field has a description on the line below its name.
      const fields = [...stdout.matchAll(/^ {2}([a-zA-Z0-9]+)\t<[^\n]*\n {4}(\S)?/gm)];
      expect(fields.length).toBeGreaterThan(0);
      expect(fields.filter(([, , text]) => text === undefined)).toEqual([]);
    },
  );

  test('is listed by its short name with the printer columns', async () => {
    await create({ 'metadata.name': 'listed' }, false);
    await kube.request('PATCH', `${CACHES}/listed/status`, {
      contentType: PATCH.merge,
      body: {
        status: {
          observedGeneration: 1,
          readyReplicas: 2,
          endpoint: 'http://listed.ml.svc',
          cacheStore: {
            usage: '14.2Ti/20Ti',
            used: '14.2Ti',
            capacity: '20Ti',
            chunks: 1_893_211,
            pinned: '0',
            updateTime: '2026-01-01T00:00:00Z',
          },
          conditions: [
            {
              type: 'Ready',
              status: 'False',
              observedGeneration: 1,
              reason: 'Progressing',
              message: 'wait',
              lastTransitionTime: '2026-01-01T00:00:00Z',
            },
          ],
        },
      },
    });
    const { stdout } = await run('kubectl', [
      `--kubeconfig=${plane.kubeconfig(ADMIN)}`,
      'get',
      'orca',
      'listed',
      '-n',
      NAMESPACE,
    ]);
    const [header, row] = stdout.split('\n').map((line) => line.trim().split(/\s+/));
    expect(header).toEqual(['NAME', 'READY', 'REPLICAS', 'DESIRED', 'USED', 'ORIGIN', 'ENDPOINT', 'AGE']);
    expect(row?.slice(0, -1)).toEqual([
      'listed',
      'False',
      '2',
      '3',
      '14.2Ti/20Ti',
      'models-eu',
      'http://listed.ml.svc',
    ]);
  });
});
