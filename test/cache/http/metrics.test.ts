import { expect, test } from 'vitest';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { openMetrics } from '#cache/http/metrics.ts';
import { openLog } from '#shared/log.ts';
import { openEngines } from '#test/support/engines.ts';

test('the counters behind the duplication factor exist before the first read', async () => {
  const { registry } = openMetrics({
    buckets: new BucketTable([]),
    costs: undefined,
    log: openLog({ name: 'test', level: 'error' }),
  });
  const text = (await registry.metrics()).split('\n');
  for (const sample of [
    'orca_origin_bytes_total 0',
    'orca_committed_bytes_total 0',
    'orca_sparse_bytes_total{kind="read"} 0',
    'orca_sparse_bytes_total{kind="reused"} 0',
  ])
    expect(text).toContain(sample);
});

test('a bucket whose circuit breaker was forgotten has no sample any more', async () => {
  const metrics = openMetrics({
    buckets: new BucketTable([]),
    costs: undefined,
    log: openLog({ name: 'test', level: 'error' }),
  });
  const { engine, view } = openEngines().replicas[0]!;
  const breakers = new Map([['team-1', { state: 'open' }]]);
  const tripped = { ...engine, origin: { ...engine.origin, breakers } } as unknown as Engine;
  const peers = { current: () => view, staleMs: () => 0 } as unknown as PeerView;
  const storeProbe = { condition: 'atomic', verdict: undefined } as unknown as StoreProbe;
  metrics.watch({ engine: tripped, peers, storeProbe, liveness: { state: 'waiting' } });
  const sample = 'orca_breaker_open{name="origin/team-1"} 1';
  expect(await metrics.registry.metrics()).toContain(sample);
  expect(await metrics.registry.metrics()).toContain('orca_liveness_thread_listening 0');
  breakers.clear();
  expect(await metrics.registry.metrics()).not.toContain('origin/team-1');
});
