import { expect, test } from 'vitest';
import { BucketTable } from '#cache/engine/bucket-rule.ts';
import { openMetrics } from '#cache/http/metrics.ts';
import { openLog } from '#shared/log.ts';

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
