import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OrcaPrewarm } from '#crds/types.ts';
import { PATCH, type KubeClient } from '#shared/kube/client.ts';
import { badPrewarms, goodPrewarms, unknownPrewarms } from '#test/crds/prewarm-cases.ts';
import { acceptedPrewarm, prewarmWith } from '#test/crds/prewarm-sample.ts';
import { sampleWith } from '#test/crds/sample.ts';
import { ADMIN, openControlPlane, type ControlPlane } from '#test/support/control-plane.ts';
import { installCrds } from './install.ts';
import { refusal } from './refusal.ts';

const run = promisify(execFile);
const NAMESPACE = 'prewarm-test';
const PREWARMS = `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcaprewarms`;

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

async function create(changes: Readonly<Record<string, unknown>>, dryRun = true): Promise<OrcaPrewarm> {
  return kube.request<OrcaPrewarm>('POST', PREWARMS, {
    body: prewarmWith({ 'metadata.namespace': NAMESPACE, ...changes }),
    query: { fieldValidation: 'Strict', ...(dryRun ? { dryRun: 'All' } : {}) },
  });
}

async function merge(name: string, body: object, subresource = ''): Promise<OrcaPrewarm> {
  return kube.request<OrcaPrewarm>('PATCH', `${PREWARMS}/${name}${subresource}`, {
    body,
    contentType: PATCH.merge,
    query: { fieldValidation: 'Strict' },
  });
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('kubectl', [`--kubeconfig=${plane.kubeconfig(ADMIN)}`, '-n', NAMESPACE, ...args]);
  return stdout;
}

/** Only the API server runs: no operator and no node. */
describe('an OrcaPrewarm on a real API server', () => {
  test.for(badPrewarms)('with $name is rejected, with the path of the field', async ({ changes, path }) => {
    const error = await refusal(create(changes));
    expect(error.status).toBe(422);
    const fields = (error.details?.causes ?? []).map(({ field }) => field);
    // The rule about the name is at the root, which has no path.
    expect(fields).toContain(path === 'metadata.name' ? '<nil>' : path);
    for (const { message } of error.details?.causes ?? []) expect(message).not.toContain('evaluat');
  });

  test.for(unknownPrewarms)('with $name is rejected as unknown', async ({ changes, path }) => {
    const error = await refusal(create(changes));
    expect(error.status).toBe(400);
    expect(error.message).toContain(`unknown field "${path}"`);
  });

  test.for(goodPrewarms)('with $name is accepted, with the same defaults as this program', async ({ changes }) => {
    const created = await create(changes);
    expect(created.spec).toEqual(acceptedPrewarm(prewarmWith(changes)).spec);
    expect(created.status).toEqual({ observedGeneration: -1 });
  });

  test.for<readonly [string, object]>([
    ['cacheRef', { cacheRef: { name: 'other' } }],
    ['targets', { targets: [{ bucket: 'models', prefix: 'other/' }] }],
    ['targets', { targets: [{ bucket: 'models', prefix: 'llama-3-70b/', include: ['*'] }] }],
    ['pin', { pin: { ttl: '2h' } }],
    ['pin', { pin: { ttl: null } }],
    ['pin', { pin: null }],
    ['schedule', { schedule: '0 3 * * *' }],
    ['schedule', { schedule: null }],
    ['timeZone', { timeZone: 'Europe/Berlin' }],
  ])('rejects a change of %s, with the remedy: %j', async ([field, change], { task }) => {
    const name = `kept-${task.id.split('_').join('-')}`;
    await create({ 'metadata.name': name, 'spec.pin': { ttl: '1h' }, 'spec.schedule': '0 2 * * *' }, false);
    const error = await refusal(merge(name, { spec: change }));
    expect([error.status, error.details?.causes]).toEqual([
      422,
      [expect.objectContaining({ field: `spec.${field}`, message: expect.stringContaining('create a new') as string })],
    ]);
  });

  test.for<readonly [string, object]>([
    ['pin', { pin: {} }],
    ['schedule', { schedule: '0 3 * * *' }],
  ])('rejects an added %s', async ([field, change]) => {
    const name = `plain-${field}`;
    await create({ 'metadata.name': name }, false);
    expect(await refusal(merge(name, { spec: change }))).toMatchObject({
      status: 422,
      details: { causes: [{ field: `spec.${field}` }] },
    });
  });

  test('accepts changes of what does not change the objects', async () => {
    await create({ 'metadata.name': 'moving' }, false);
    const first = await merge('moving', {
      spec: {
        suspend: true,
        maxBytesPerSecond: '100Mi',
        parallelism: 8,
        activeDeadlineSeconds: 60,
        ttlSecondsAfterFinished: 60,
      },
    });
    expect(first.metadata.generation).toBe(2);
    const second = await merge('moving', { spec: { maxBytesPerSecond: null, activeDeadlineSeconds: null } });
    expect(second.spec).not.toHaveProperty('maxBytesPerSecond');
  });

  test('does not change the generation by a status, which may have exact counters and ten failures', async () => {
    await create({ 'metadata.name': 'counted' }, false);
    const status = {
      observedGeneration: 1,
      state: 'Running',
      runs: 1,
      activeRun: 1,
      startTime: '2026-01-01T00:00:00Z',
      lastRunTime: '2026-01-01T00:00:00Z',
      listed: false,
      objects: { total: 1893, done: 1170, failed: 10 },
      bytes: {
        total: Number.MAX_SAFE_INTEGER,
        done: Number.MAX_SAFE_INTEGER - 1,
        fromOrigin: 1,
        alreadyStored: Number.MAX_SAFE_INTEGER - 2,
      },
      pin: 'Refused',
      failures: Array.from({ length: 10 }, () => ({ key: 'k'.repeat(1024), reason: 'not_found' })),
    };
    const written = await merge('counted', { status }, '/status');
    expect(written.metadata.generation).toBe(1);
    expect(written.status).toEqual(status);
    // A member that is set to null is removed.
    expect((await merge('counted', { status: { activeRun: null } }, '/status')).status?.activeRun).toBeUndefined();
  });

  test('is listed by its short name with the printer columns', async () => {
    await create({ 'metadata.name': 'listed' }, false);
    const status = {
      observedGeneration: 1,
      state: 'Running',
      progress: '62 % 1.2/1.9Ti',
      rate: '498Mi/s',
      estimatedCompletionTime: '2026-01-01T01:00:00Z',
      objects: { total: 1893, done: 1170, failed: 0 },
    };
    await merge('listed', { status }, '/status');
    const [header, row] = (await kubectl('get', 'orcawarm', 'listed')).split('\n').map((line) => line.split(/ {3,}/));
    expect(header).toEqual(['NAME', 'CACHE', 'STATUS', 'PROGRESS', 'RATE', 'ETA', 'AGE']);
    expect(row?.slice(0, -1)).toEqual([
      'listed',
      'models',
      'Running',
      '62 % 1.2/1.9Ti',
      '498Mi/s',
      '2026-01-01T01:00:00Z',
    ]);
    expect(await kubectl('get', 'orcaprewarm', 'listed', '-o', 'wide')).toContain('1893');
  });

  test('is listed together with the caches by their category, but not by the name of one of them', async () => {
    const caches = `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcacaches`;
    await kube.request('POST', caches, { body: sampleWith({ 'metadata.namespace': NAMESPACE }) });
    await create({ 'metadata.name': 'both' }, false);
    const all = await kubectl('get', 'orca-all', '-o', 'name');
    expect(all.split('\n')).toEqual(
      expect.arrayContaining(['orcacache.orcacache.dev/models', 'orcaprewarm.orcacache.dev/both']),
    );
    expect(await kubectl('get', 'orcacache', 'models', '-o', 'name')).toBe('orcacache.orcacache.dev/models\n');
    expect(await kubectl('get', 'orcaprewarm', 'both', '-o', 'name')).toBe('orcaprewarm.orcacache.dev/both\n');
  });

  test('is waited for by its conditions', async () => {
    await create({ 'metadata.name': 'waited' }, false);
    const condition = {
      type: 'Complete',
      status: 'True',
      observedGeneration: 1,
      reason: 'Completed',
      message: '12 objects stored',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    await merge('waited', { status: { observedGeneration: 1, conditions: [condition] } }, '/status');
    expect(await kubectl('wait', '--for=condition=Complete', '--timeout=10s', 'orcaprewarm/waited')).toContain('met');
  });

  test.for(['', '.spec', '.spec.targets', '.spec.targets.keysFrom', '.spec.pin', '.status', '.status.bytes'])(
    'is explained by kubectl: orcaprewarm%s',
    async (path) => {
      const text = await kubectl('explain', `orcaprewarm${path}`);
      expect(text).toContain('DESCRIPTION:');
      expect(text).not.toContain('<no description>');
    },
  );
});
