/** Evaluates each alert with Prometheus' own engine over samples that must make it fire and samples that must not. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { judge } from './judge.ts';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** One value per minute. */
  readonly values: readonly number[];
}

const { groups } = parse(readFileSync('charts/orcacache/files/alerts.yaml', 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
};
const exprs = new Map(groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)));

/** More than the longest range of an alert's expression. */
const MINUTES = 70;
const POD = { namespace: 'ml', orcacache: 'models', pod: 'models-1' };
const OPERATOR = { controller: 'orcacache', namespace: 'orca-system', pod: 'operator-1' };

const series = (name: string, labels: Readonly<Record<string, string>>, value: (minute: number) => number): Series => ({
  labels: { __name__: name, ...labels },
  values: Array.from({ length: MINUTES }, (_, minute) => value(minute)),
});
const pod = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Series =>
  series(name, { ...POD, ...labels }, () => value);
const growing = (name: string, perMinute: number, labels: Readonly<Record<string, string>> = {}): Series =>
  series(name, { ...POD, ...labels }, (minute) => minute * perMinute);
const other = { pod: 'models-2' };
const MB = 1e6;
/** Bytes per minute from the origin, committed to the cachestore, and fetched and reused by sparse reads. */
const traffic = (origin: number, committed: number, sparse: number, reused = 0): Series[] => [
  growing('orca_origin_bytes_total', origin),
  growing('orca_committed_bytes_total', committed),
  growing('orca_sparse_bytes_total', sparse, { kind: 'read' }),
  growing('orca_sparse_bytes_total', reused, { kind: 'reused' }),
];
const ready = (status: string): Series =>
  series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Ready', status }, () => 1);

const prewarm = (type: string, status: string): Series =>
  series('orcaprewarm_condition', { namespace: 'ml', name: 'llama', type, status }, () => 1);

/** Bytes per minute that are stored, and those of them that had been evicted within a day. */
const refills = (refilled: number, committed: number): Series[] => [
  growing('orca_store_refilled_bytes_total', refilled),
  growing('orca_committed_bytes_total', committed),
];
const EVICTED = 'orca_store_evicted_bytes_total';
const CAPACITY = { reason: 'capacity' };
const IDLE = { reason: 'idle' };
/** The whole cachestore, as each replica reports it. */
const space = (perMinute: number, capacity: number): Series[] =>
  [POD, { ...POD, ...other }].flatMap((replica) => [
    series('orca_store_used_bytes', replica, (minute) => minute * perMinute),
    series('orca_store_capacity_bytes', replica, () => capacity),
  ]);
const sweeps = (age: number): Series[] => [
  pod('orca_sweep_age_seconds', age),
  pod('orca_sweep_age_seconds', 60, other),
  pod('orca_sweep_interval_seconds', 3600),
  pod('orca_sweep_interval_seconds', 3600, other),
];

type Case = readonly [when: string, samples: readonly Series[]];
const CASES: Readonly<Record<string, { readonly fires: readonly Case[]; readonly silent: readonly Case[] }>> = {
  OrcaCacheOperatorDown: {
    fires: [['no operator exports its build info', []]],
    silent: [['an operator exports its build info', [series('orcacache_operator_build_info', OPERATOR, () => 1)]]],
  },
  OrcaCacheReconcileErrors: {
    fires: [
      ['reconciles fail', [series('controller_runtime_reconcile_errors_total', OPERATOR, (minute) => minute)]],
      [
        'reconciles of prewarms fail',
        [
          series(
            'controller_runtime_reconcile_errors_total',
            { ...OPERATOR, controller: 'orcaprewarm' },
            (minute) => minute,
          ),
        ],
      ],
    ],
    silent: [
      ['no reconcile fails', [series('controller_runtime_reconcile_errors_total', OPERATOR, () => 7)]],
      [
        'another controller has errors',
        [series('controller_runtime_reconcile_errors_total', { controller: 'other' }, (minute) => minute)],
      ],
    ],
  },
  OrcaCacheReconcileStuck: {
    fires: [
      [
        'a reconcile does not end',
        [series('workqueue_longest_running_processor_seconds', OPERATOR, (minute) => minute * 60)],
      ],
    ],
    silent: [['reconciles end', [series('workqueue_longest_running_processor_seconds', OPERATOR, () => 0.2)]]],
  },
  OrcaCacheNotReady: {
    fires: [['a cache is not ready', [ready('False')]]],
    silent: [
      ['the cache is ready', [ready('True')]],
      ['the cache is paused', [ready('Unknown')]],
    ],
  },
  OrcaCacheStalled: {
    fires: [
      [
        'a cache is stalled',
        [series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Stalled', status: 'True' }, () => 1)],
      ],
    ],
    silent: [
      [
        'the cache is not stalled',
        [series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Stalled', status: 'False' }, () => 1)],
      ],
    ],
  },
  OrcaCacheWorkerRestarts: {
    fires: [['a worker is restarted every three minutes', [growing('orca_worker_restarts_total', 0.33)]]],
    silent: [['one of a pod is restarted every ten minutes', [growing('orca_worker_restarts_total', 0.1)]]],
  },
  OrcaCacheReplicaDown: {
    fires: [['a replica is down', [pod('up', 0), pod('up', 1, other)]]],
    silent: [
      ['all replicas are up', [pod('up', 1)]],
      ['another target is down', [series('up', { job: 'other' }, () => 0)]],
    ],
  },
  OrcaCacheOriginUnreachable: {
    fires: [['the breaker of a bucket is open', [pod('orca_breaker_open', 1, { name: 'origin/models' })]]],
    silent: [['only the breaker of the store is open', [pod('orca_breaker_open', 1, { name: 'store' })]]],
  },
  OrcaCacheStoreUnreachable: {
    fires: [['the breaker of the store is open', [pod('orca_breaker_open', 1, { name: 'store' })]]],
    silent: [['only the breaker of a bucket is open', [pod('orca_breaker_open', 1, { name: 'origin/models' })]]],
  },
  OrcaCacheErrors: {
    fires: [
      [
        'one of ten requests fails',
        [
          growing('orca_edge_requests_total', 90, { code: '200' }),
          growing('orca_edge_requests_total', 10, { code: '503' }),
        ],
      ],
    ],
    silent: [
      [
        'one of a hundred requests fails and many are not found',
        [
          growing('orca_edge_requests_total', 99, { code: '200' }),
          growing('orca_edge_requests_total', 500, { code: '404' }),
          growing('orca_edge_requests_total', 1, { code: '503' }),
        ],
      ],
      ['there are no requests', [pod('orca_edge_requests_total', 10, { code: '503' })]],
    ],
  },
  OrcaCacheMemoryShort: {
    fires: [['requests wait', [pod('orca_memory_waiting_new', 2)]]],
    silent: [['no request waits', [pod('orca_memory_waiting_new', 0)]]],
  },
  OrcaCacheOriginQueue: {
    fires: [['requests wait', [pod('orca_origin_queued', 2)]]],
    silent: [['no request waits', [pod('orca_origin_queued', 0)]]],
  },
  OrcaCacheFilledTwice: {
    fires: [['half of the committed bytes are fetched twice', traffic(1500 * MB, 1000 * MB, 0)]],
    silent: [
      ['each byte is fetched once', traffic(1000 * MB, 1000 * MB, 0)],
      ['the surplus comes from sparse reads', traffic(1500 * MB, 1000 * MB, 500 * MB)],
      ['there is little traffic', traffic(2 * MB, MB, 0)],
    ],
  },
  OrcaCachePeersDisagree: {
    fires: [
      [
        'two replicas have different peers',
        [pod('orca_peers_epoch', 4_503_599_627_370_495), pod('orca_peers_epoch', 2, other)],
      ],
    ],
    silent: [['all replicas have the same peers', [pod('orca_peers_epoch', 7), pod('orca_peers_epoch', 7, other)]]],
  },
  OrcaCachePeersStale: {
    fires: [['the last update is old', [pod('orca_peers_stale_seconds', 1000)]]],
    silent: [['the last update was a minute ago', [pod('orca_peers_stale_seconds', 60)]]],
  },
  OrcaCacheStoreVersioned: {
    fires: [['the bucket is versioned', [pod('orca_store_versioned', 1)]]],
    silent: [['the bucket is not versioned', [pod('orca_store_versioned', 0)]]],
  },
  OrcaCacheStoreOverCapacity: {
    fires: [
      ['eviction does not help', [pod('orca_store_state', 1, { state: 'over_capacity' })]],
      ['the store has no space left', [pod('orca_store_state', 1, { state: 'full' })]],
    ],
    silent: [
      [
        'chunks are evicted',
        [
          pod('orca_store_state', 1, { state: 'evicting' }),
          pod('orca_store_state', 0, { state: 'over_capacity' }),
          pod('orca_store_state', 0, { state: 'full' }),
        ],
      ],
    ],
  },
  OrcaCacheStoreTooSmall: {
    fires: [['half of what is stored had been evicted lately', refills(500 * MB, 1000 * MB)]],
    silent: [
      ['a tenth of what is stored had been evicted lately', refills(100 * MB, 1000 * MB)],
      ['there is little traffic', refills(5 * MB, 10 * MB)],
    ],
  },
  OrcaCacheStoreFullSoon: {
    fires: [
      [
        'used bytes reach the capacity in two days',
        [...space(10 * MB, 2 * 1440 * 10 * MB), growing(EVICTED, 0, CAPACITY)],
      ],
      ['only idle chunks are evicted', [...space(10 * MB, 2 * 1440 * 10 * MB), growing(EVICTED, MB, IDLE)]],
    ],
    silent: [
      ['used bytes reach the capacity in a week', space(10 * MB, 7 * 1440 * 10 * MB)],
      ['chunks are evicted', [...space(10 * MB, 2 * 1440 * 10 * MB), growing(EVICTED, MB, CAPACITY)]],
      ['there is no limit', [growing('orca_store_used_bytes', 1000 * MB)]],
    ],
  },
  OrcaCacheSweepStalled: {
    fires: [['a part was listed four intervals ago', sweeps(4 * 3600)]],
    silent: [['all parts were listed within two intervals', sweeps(2 * 3600)]],
  },
  OrcaPrewarmFailed: {
    fires: [
      ['a run has failed', [prewarm('Failed', 'True')]],
      ['a run cannot start', [prewarm('Stalled', 'True'), prewarm('Failed', 'False')]],
    ],
    silent: [
      ['a run is complete', [prewarm('Complete', 'True'), prewarm('Failed', 'False'), prewarm('Stalled', 'False')]],
      ['a run is in progress', [prewarm('Reconciling', 'True'), prewarm('Failed', 'False')]],
    ],
  },
};

const evaluate = async (alert: string, samples: readonly Series[]): Promise<string | undefined> => {
  const [result] = await judge(['query'], [{ expr: exprs.get(alert) ?? '', series: samples }]);
  return result?.status;
};
const table = (kind: 'fires' | 'silent') =>
  Object.entries(CASES).flatMap(([alert, cases]) =>
    cases[kind].map(([when, samples]) => [alert, when, samples] as const),
  );

describe('an alert', () => {
  test.for(table('fires'))('%s fires when %s', async ([alert, , samples]) => {
    expect(await evaluate(alert, samples)).toBe('Fires');
  });

  test.for(table('silent'))('%s is silent when %s', async ([alert, , samples]) => {
    expect(await evaluate(alert, samples)).toBe('Silent');
  });

  test('has cases for every name', () => {
    expect(Object.keys(CASES).toSorted()).toEqual([...exprs.keys()].toSorted());
  });
});
