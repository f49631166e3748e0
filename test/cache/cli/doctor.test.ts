/** Each check of `doctor` finds the trouble that is caused here, and no other check does. */
import { describe, expect, test } from 'vitest';
import { CHECKS } from '#cache/cli/doctor/examine.ts';
import { KubeError } from '#shared/kube/error.ts';
import { healthyWorld, runCli, type Json, type RecordedPod, type World } from '#test/support/cli-world.ts';

interface Found {
  readonly check: string;
  readonly level: string;
  readonly message: string;
  readonly remedy: string;
}

async function diagnose(change: (world: World) => void) {
  const world = healthyWorld();
  change(world);
  const { exitCode, out } = await runCli('doctor models -o json', world);
  const { items } = JSON.parse(out) as { items: [{ troubles: Found[]; passed: string[]; skipped: string[] }] };
  return { exitCode, ...items[0] };
}

/** Sets a dotted path of every pod's answers: `status.store.full`. */
const set =
  (path: string, value: unknown, onlyFirst = false) =>
  (world: World): void => {
    world.pods = world.pods.map((pod, index) =>
      onlyFirst && index > 0 ? pod : (changed(pod, path.split('.'), value) as RecordedPod),
    );
  };
const setFirst = (path: string, value: unknown) => set(path, value, true);

function changed(target: unknown, [name = '', ...rest]: readonly string[], value: unknown): unknown {
  if (Array.isArray(target)) {
    const copy: unknown[] = [...(target as unknown[])];
    copy[Number(name)] = rest.length === 0 ? value : changed(copy[Number(name)], rest, value);
    return copy;
  }
  const fields = target as Json;
  return { ...fields, [name]: rest.length === 0 ? value : changed(fields[name], rest, value) };
}

const failWith = (error: KubeError) => (world: World) => {
  world.pods = world.pods.map((pod, index) => (index === 0 ? { ...pod, failure: error } : pod));
};
const setCache = (path: string, value: unknown) => (world: World) => {
  world.cache = changed(world.cache, path.split('.'), value) as Json;
};
const bucketFailed = (message: string) => set('status.origin.models', { state: 'failed', message });

const twoWorkers = (restarts: number, state = 'running') => [
  { index: 0, pid: 7, state: 'running', restarts: 0, ready: true },
  { index: 1, pid: 8, state, restarts, ready: state === 'running' },
];

/** Check, level, a part of the message, and its cause. */
const CASES: readonly (readonly [string, 'error' | 'warning', RegExp, (world: World) => void])[] = [
  ['access', 'error', /you may not ask/, failWith(new KubeError(403, 'Forbidden', 'pods "a" is forbidden'))],
  [
    'access',
    'error',
    /models-a cannot be reached.*i\/o timeout/,
    failWith(new KubeError(503, '', 'dial tcp: i/o timeout')),
  ],
  ['access', 'error', /no response/, failWith(new KubeError(0, 'Timeout', 'no response within 30000 ms'))],
  ['access', 'warning', /gives no status/, failWith(new KubeError(404, '', '404 Not Found'))],
  [
    'conditions',
    'error',
    /Ready=False RolloutFailed: x/,
    setCache('status.conditions.0', { type: 'Ready', status: 'False', reason: 'RolloutFailed', message: 'x' }),
  ],
  [
    'conditions',
    'error',
    /Stalled=True InvalidSpec/,
    setCache('status.conditions.1', { type: 'Stalled', status: 'True', reason: 'InvalidSpec', message: 'x' }),
  ],
  [
    'conditions',
    'warning',
    /CacheStoreReady=False Full/,
    setCache('status.conditions.2', { type: 'CacheStoreReady', status: 'False', reason: 'Full', message: 'x' }),
  ],
  ['operator', 'error', /generation 4 .* last one was 3/, setCache('metadata.generation', 4)],
  ['replicas', 'warning', /2 of 3 replicas/, setCache('spec.replicas', 3)],
  [
    'replicas',
    'error',
    /0 of 2 replicas are ready: 2 pods/,
    set('resource.status.conditions', [{ type: 'Ready', status: 'False' }]),
  ],
  [
    'readiness',
    'warning',
    /cachestore: no answer/,
    set('status.checks.cachestore', { ok: false, message: 'no answer' }),
  ],
  [
    'restarts',
    'error',
    /exceeded its memory limit/,
    setFirst('resource.status.containerStatuses.0', {
      restartCount: 1,
      lastState: { terminated: { reason: 'OOMKilled' } },
    }),
  ],
  [
    'restarts',
    'error',
    /restarted 7 times: Error/,
    setFirst('resource.status.containerStatuses.0', {
      restartCount: 7,
      lastState: { terminated: { reason: 'Error' } },
    }),
  ],
  [
    'workers',
    'warning',
    /worker 1 of pod models-a has been restarted 3 times$/,
    setFirst('status.workers', twoWorkers(3)),
  ],
  [
    'workers',
    'warning',
    /restarted once and is not running now/,
    setFirst('status.workers', twoWorkers(1, 'restarting')),
  ],
  [
    'memory',
    'error',
    /may use 1.9Gi for chunks, and its limit is 2Gi/,
    setFirst('status.memory.budgetBytes', 1.9 * 1024 ** 3),
  ],
  [
    'memory',
    'error',
    /may use 1.5Gi for chunks, and its limit is 2Gi/,
    (world) => {
      setFirst('status.memory.budgetBytes', 1.5 * 1024 ** 3)(world);
      setFirst('status.workers', twoWorkers(0))(world);
    },
  ],
  ['memory-waits', 'warning', /12 requests wait for memory/, setFirst('top.now.waitingNew', 12)],
  [
    'cpu',
    'warning',
    /CPU limit of 500m/,
    set('resource.spec.containers.0.resources.limits', { cpu: '500m', memory: '2Gi' }),
  ],
  [
    'cpu',
    'warning',
    /CPU limit of 1500m for 2 workers throttles pod models-a/,
    (world) => {
      setFirst('resource.spec.containers.0.resources.limits', { cpu: '1500m', memory: '2Gi' })(world);
      setFirst('status.workers', twoWorkers(0))(world);
    },
  ],
  [
    'releases',
    'warning',
    /2 releases: 0.2.0 \(pod models-a\), 0.1.0 \(pod models-b\)/,
    setFirst('status.version', '0.2.0'),
  ],
  ['configuration', 'warning', /2 configurations/, setFirst('status.configHash', 'beef')],
  [
    'runtime-settings',
    'warning',
    /readahead: not a number/,
    setFirst('status.runtime.problems', ['readahead: not a number']),
  ],
  ['nodes', 'warning', /all 2 replicas are on node node-1/, set('resource.spec.nodeName', 'node-1')],
  ['peers', 'warning', /pod models-a and pod models-b have different lists/, setFirst('status.peers.epoch', 'e2')],
  ['peer-list', 'warning', /is 20m old/, set('status.peers.staleMs', 20 * 60_000)],
  [
    'clocks',
    'warning',
    /models-b and models-a differ by 30s/,
    setFirst('top.dateMs', Date.parse('2026-11-28T12:00:30Z')),
  ],
  ['clocks', 'error', /differ by 10m/, setFirst('top.dateMs', Date.parse('2026-11-28T12:10:00Z'))],
  ['origin-region', 'error', /bucket models: origin_wrong_region/, bucketFailed('origin_wrong_region: eu-west-1')],
  ['origin-dns', 'error', /ENOTFOUND/, bucketFailed('origin_unavailable: getaddrinfo ENOTFOUND s3.example')],
  [
    'origin-tls',
    'error',
    /self-signed/,
    bucketFailed('origin_unavailable: self-signed certificate in certificate chain'),
  ],
  ['origin-credentials', 'error', /origin_denied/, bucketFailed('origin_denied: 403')],
  ['origin-buckets', 'error', /bucket_not_found/, bucketFailed('bucket_not_found: no such bucket')],
  ['origin', 'error', /ECONNREFUSED/, bucketFailed('origin_unavailable: connect ECONNREFUSED')],
  [
    'origin-list',
    'warning',
    /bucket models may not be listed/,
    set('status.origin.models', { state: 'list_denied', message: '' }),
  ],
  [
    'origin-breakers',
    'error',
    /sends the origin no requests for a while: far-models/,
    set('status.originBreakers', { 'far-models': 'open' }),
  ],
  ['origin-queue', 'warning', /10 requests wait for a slot/, set('top.now.originQueued', 5)],
  [
    'origin-identity',
    'error',
    /serves nothing: another origin/,
    set('status.identity', { state: 'conflict', message: 'another origin' }),
  ],
  ['store', 'error', /is open at 2 pods \(models-a, models-b\)/, set('status.store.breaker', 'open')],
  ['store-full', 'error', /no space left/, set('status.store.full', true)],
  [
    'store-writes',
    'warning',
    /racy: several/,
    (world) => {
      set('status.store.condition', 'racy')(world);
      set('status.store.message', 'racy: several')(world);
    },
  ],
  [
    'store-correct',
    'error',
    /bytes: other bytes/,
    (world) => {
      set('status.store.problems', ['bytes'])(world);
      set('status.store.message', 'other bytes')(world);
    },
  ],
  [
    'store-eviction',
    'error',
    /nothing can be evicted.*list and delete/,
    set('status.store.problems', ['list', 'delete']),
  ],
  ['store-versioned', 'warning', /keeps every version/, set('status.store.versioned', true)],
  ['store-mount', 'error', /3 file operations hang/, set('status.store.hung', 3)],
  [
    'store-capacity',
    'error',
    /3Ti of 4Ti are used/,
    (world) => {
      set('store.state', 'over_capacity')(world);
      set('status.capacity.state', 'over_capacity')(world);
    },
  ],
];

describe('doctor', () => {
  test('nothing is found where nothing is wrong', async () => {
    expect(await diagnose(() => {})).toMatchObject({ exitCode: 0, troubles: [], skipped: [] });
  });

  test.for(CASES.map((each) => [`${each[0]} (${each[1]}): ${each[2].source}`, each] as const))(
    '%s',
    async ([, [check, level, message, cause]]) => {
      const { exitCode, troubles } = await diagnose(cause);
      expect(troubles).toMatchObject([{ check, level }]);
      expect(troubles[0]?.message).toMatch(message);
      expect(troubles[0]?.remedy).not.toBe('');
      expect(exitCode).toBe(level === 'error' ? 1 : 0);
    },
  );

  test('every check is caused', () => {
    expect([...new Set(CASES.map(([id]) => id))].toSorted()).toEqual(CHECKS.map(({ id }) => id).toSorted());
  });

  test('what is not reported is skipped, not passed', async () => {
    const { troubles, skipped } = await diagnose((world) => {
      world.pods = world.pods.map((pod) => ({
        ...pod,
        top: undefined,
        store: undefined,
        status: { version: '0.1.0' },
      }));
    });
    expect(troubles).toEqual([]);
    expect(skipped).toEqual(expect.arrayContaining(['clocks', 'origin', 'origin-queue', 'store-capacity']));
  });
});
