import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { BucketTable, type BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import { BucketUsage, type Costs } from '#cache/http/bucket-usage.ts';

const rule = (name: string, originBucket = name, prefix = ''): BucketRule => ({
  name,
  originBucket,
  prefix,
  metadataTtlMs: 1,
  immutable: false,
});

const RULES = [rule('models', 'acme', 'm/'), rule('data', 'acme', 'd/'), rule('team-*', 'acme-team-*')];

function open(costs?: Costs) {
  const registry = new Registry();
  const usage = new BucketUsage(new BucketTable(RULES));
  usage.register(registry, costs);
  const sample = async (name: string): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`) && !line.endsWith(' 0'));
  return { usage, sample, registry };
}

test('clients count by the configured name, patterns as one', async () => {
  const { usage, sample } = open();
  for (const bucket of ['models', 'team-red', 'team-blue', 'unknown', '', 'constructor']) usage.request(bucket, 'HIT');
  usage.served('team-red', 'memory', 7);
  usage.served('team-blue', 'memory', 5);
  expect(await sample('orca_bucket_requests_total')).toEqual([
    'orca_bucket_requests_total{bucket="models",cache="HIT"} 1',
    'orca_bucket_requests_total{bucket="team-*",cache="HIT"} 2',
  ]);
  expect(await sample('orca_bucket_served_bytes_total')).toEqual([
    'orca_bucket_served_bytes_total{bucket="team-*",source="memory"} 12',
  ]);
});

test('the origin’s bytes count for the client’s bucket that leads to the object', async () => {
  const { usage, sample } = open();
  usage.originBytes({ bucket: 'acme', key: 'd/x' }, 3);
  usage.originBytes({ bucket: 'acme', key: 'm/x' }, 4);
  usage.originBytes({ bucket: 'acme-team-red', key: 'x' }, 5);
  usage.originBytes({ bucket: 'other', key: 'x' }, 6);
  usage.originRequest({ bucket: 'acme' });
  expect(await sample('orca_bucket_origin_bytes_total')).toEqual([
    'orca_bucket_origin_bytes_total{bucket="models"} 4',
    'orca_bucket_origin_bytes_total{bucket="data"} 3',
    'orca_bucket_origin_bytes_total{bucket="team-*"} 5',
  ]);
  expect(await sample('orca_bucket_origin_requests_total')).toEqual([
    'orca_bucket_origin_requests_total{bucket="models"} 1',
  ]);
});

test('what is saved is what clients got minus what the origin sent, in bytes and at its prices', async () => {
  const { usage, sample } = open({ egressPerGB: 0.09, per1000Requests: 0.5 });
  usage.originBytes({ bucket: 'acme', key: 'm/x' }, 1e9);
  usage.originRequest({ bucket: 'acme', key: 'm/x' });
  for (let read = 0; read < 11; read++) {
    usage.request('models', 'HIT');
    usage.served('models', 'store', 1e9);
  }
  expect(await sample('orca_origin_bytes_saved_total')).toEqual([
    'orca_origin_bytes_saved_total{bucket="models"} 10000000000',
  ]);
  const [dollars = ''] = await sample('orca_saved_dollars_total');
  expect(Number(dollars.split(' ')[1])).toBeCloseTo(10 * 0.09 + (10 / 1000) * 0.5, 9);
  expect(await sample('orca_origin_price_dollars')).toEqual([
    'orca_origin_price_dollars{unit="gigabyte"} 0.09',
    'orca_origin_price_dollars{unit="1000_requests"} 0.5',
  ]);
});

test('a scrape repeats the numbers, and without prices there are no dollars', async () => {
  const { usage, sample, registry } = open();
  usage.request('data', 'MISS');
  const first = await sample('orca_bucket_requests_total');
  expect(await sample('orca_bucket_requests_total')).toEqual(first);
  expect(await registry.metrics()).not.toContain('dollars');
});
