/** Each alert, asked of Prometheus' own engine over samples that should make it fire, and over some that should not. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { judge } from './judge.ts';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** A minute apart. */
  readonly values: readonly number[];
}

const { groups } = parse(readFileSync('charts/orcacache/files/alerts.yaml', 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
};
const exprs = new Map(groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)));

/** More than the longest range that an alert looks back. */
const MINUTES = 70;
const POD = { namespace: 'ml', orcacache: 'models', pod: 'models-1' };
const OPERATOR = { controller: 'orcacache', namespace: 'orca-system', pod: 'operator-1' };

const series = (name: string, labels: Readonly<Record<string, string>>, value: (minute: number) => number): Series => ({
  labels: { __name__: name, ...labels },
  values: Array.from({ length: MINUTES }, (_, minute) => value(minute)),
});
const pod = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Series =>
  series(name, { ...POD, ...labels }, () => value);
const growing = (name: string, aMinute: number, labels: Readonly<Record<string, string>> = {}): Series =>
  series(name, { ...POD, ...labels }, (minute) => minute * aMinute);
const other = { pod: 'models-2' };
const MB = 1e6;
/** Origin bytes against committed ones, and what sparse reads took of them. */
const traffic = (origin: number, committed: number, sparse: number, reused = 0): Series[] => [
  growing('orca_origin_bytes_total', origin),
  growing('orca_committed_bytes_total', committed),
  growing('orca_sparse_bytes_total', sparse, { kind: 'read' }),
  growing('orca_sparse_bytes_total', reused, { kind: 'reused' }),
];
const ready = (status: string): Series =>
  series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Ready', status }, () => 1);

type Case = readonly [what: string, samples: readonly Series[]];
const CASES: Readonly<Record<string, { readonly fires: readonly Case[]; readonly silent: readonly Case[] }>> = {
  OrcaCacheOperatorDown: {
    fires: [['nobody says that it is there', []]],
    silent: [['one does', [series('orcacache_operator_build_info', OPERATOR, () => 1)]]],
  },
  OrcaCacheReconcileErrors: {
    fires: [['reconciles fail', [series('controller_runtime_reconcile_errors_total', OPERATOR, (minute) => minute)]]],
    silent: [
      ['none does', [series('controller_runtime_reconcile_errors_total', OPERATOR, () => 7)]],
      [
        'another operator has errors',
        [series('controller_runtime_reconcile_errors_total', { controller: 'other' }, (minute) => minute)],
      ],
    ],
  },
  OrcaCacheReconcileStuck: {
    fires: [
      [
        'one goes on and on',
        [series('workqueue_longest_running_processor_seconds', OPERATOR, (minute) => minute * 60)],
      ],
    ],
    silent: [['they end', [series('workqueue_longest_running_processor_seconds', OPERATOR, () => 0.2)]]],
  },
  OrcaCacheNotReady: {
    fires: [['a cache is not', [ready('False')]]],
    silent: [
      ['it is', [ready('True')]],
      ['it is paused', [ready('Unknown')]],
    ],
  },
  OrcaCacheStalled: {
    fires: [
      [
        'a cache is',
        [series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Stalled', status: 'True' }, () => 1)],
      ],
    ],
    silent: [
      [
        'it is not',
        [series('orcacache_condition', { namespace: 'ml', name: 'models', type: 'Stalled', status: 'False' }, () => 1)],
      ],
    ],
  },
  OrcaCacheReplicaDown: {
    fires: [['one does not answer', [pod('up', 0), pod('up', 1, other)]]],
    silent: [
      ['all do', [pod('up', 1)]],
      ['something else does not', [series('up', { job: 'other' }, () => 0)]],
    ],
  },
  OrcaCacheOriginUnreachable: {
    fires: [['a bucket is not asked', [pod('orca_breaker_open', 1, { name: 'origin/models' })]]],
    silent: [['only the store is not', [pod('orca_breaker_open', 1, { name: 'store' })]]],
  },
  OrcaCacheStoreUnreachable: {
    fires: [['the store is not asked', [pod('orca_breaker_open', 1, { name: 'store' })]]],
    silent: [['only a bucket is not', [pod('orca_breaker_open', 1, { name: 'origin/models' })]]],
  },
  OrcaCacheErrors: {
    fires: [
      [
        'one of ten fails',
        [
          growing('orca_edge_requests_total', 90, { code: '200' }),
          growing('orca_edge_requests_total', 10, { code: '503' }),
        ],
      ],
    ],
    silent: [
      [
        'one of a hundred fails, and many are not found',
        [
          growing('orca_edge_requests_total', 99, { code: '200' }),
          growing('orca_edge_requests_total', 500, { code: '404' }),
          growing('orca_edge_requests_total', 1, { code: '503' }),
        ],
      ],
      ['nobody asks', [pod('orca_edge_requests_total', 10, { code: '503' })]],
    ],
  },
  OrcaCacheMemoryShort: {
    fires: [['requests wait', [pod('orca_memory_waiting_new', 2)]]],
    silent: [['none does', [pod('orca_memory_waiting_new', 0)]]],
  },
  OrcaCacheOriginQueue: {
    fires: [['requests wait', [pod('orca_origin_queued', 2)]]],
    silent: [['none does', [pod('orca_origin_queued', 0)]]],
  },
  OrcaCacheFilledTwice: {
    fires: [['every second byte is fetched again', traffic(1500 * MB, 1000 * MB, 0)]],
    silent: [
      ['each is fetched once', traffic(1000 * MB, 1000 * MB, 0)],
      ['what is more is of sparse reads', traffic(1500 * MB, 1000 * MB, 500 * MB)],
      ['nothing much is read', traffic(2 * MB, MB, 0)],
    ],
  },
  OrcaCachePeersDisagree: {
    fires: [
      ['two see different peers', [pod('orca_peers_epoch', 4_503_599_627_370_495), pod('orca_peers_epoch', 2, other)]],
    ],
    silent: [['all see the same', [pod('orca_peers_epoch', 7), pod('orca_peers_epoch', 7, other)]]],
  },
  OrcaCachePeersStale: {
    fires: [['nothing was heard for long', [pod('orca_peers_stale_seconds', 1000)]]],
    silent: [['a bookmark came a minute ago', [pod('orca_peers_stale_seconds', 60)]]],
  },
  OrcaCacheStoreVersioned: {
    fires: [['the bucket is', [pod('orca_store_versioned', 1)]]],
    silent: [['it is not', [pod('orca_store_versioned', 0)]]],
  },
};

const ask = async (alert: string, samples: readonly Series[]): Promise<string | undefined> => {
  const [verdict] = await judge(['query'], [{ expr: exprs.get(alert) ?? '', series: samples }]);
  return verdict?.status;
};
const table = (kind: 'fires' | 'silent') =>
  Object.entries(CASES).flatMap(([alert, cases]) =>
    cases[kind].map(([what, samples]) => [alert, what, samples] as const),
  );

describe('an alert', () => {
  test.for(table('fires'))('%s fires when %s', async ([alert, , samples]) => {
    expect(await ask(alert, samples)).toBe('Fires');
  });

  test.for(table('silent'))('%s is silent when %s', async ([alert, , samples]) => {
    expect(await ask(alert, samples)).toBe('Silent');
  });

  test('of each name has its cases', () => {
    expect(Object.keys(CASES).toSorted()).toEqual([...exprs.keys()].toSorted());
  });
});
