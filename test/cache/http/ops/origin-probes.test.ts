import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import { countingObserver, emptyCounts } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const rule = (name: string, originBucket = name): BucketRule => ({
  name,
  originBucket,
  prefix: '',
  metadataTtlMs: 1,
  immutable: false,
});
const { signal } = new AbortController();

function open(origin: Origin, buckets: readonly BucketRule[]): OriginProbes {
  return new OriginProbes({ origin, buckets, clock: fakeClock(), observer: countingObserver(emptyCounts()) });
}

test('at most 16 of many buckets are probed at the same time', async () => {
  let running = 0;
  let most = 0;
  const origin: Origin = {
    ...fakeOrigin(),
    async probe() {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return 'reachable';
    },
  };
  const buckets = Array.from({ length: 100 }, (_, index) => rule(`bucket-${index}`));
  const probes = open(origin, buckets);
  await Promise.all(buckets.map((bucket) => probes.probe(bucket, signal)));
  expect(most).toBe(16);
  expect([...probes.results().values()].every(({ state }) => state === 'reachable')).toBe(true);
});

test.for([
  [undefined, 'reachable'],
  ['access_denied', 'list_denied'],
  ['origin_unavailable', 'failed'],
] as const)('a pattern is probed by a list of buckets under it: %s is %s', async ([code, state]) => {
  const origin = fakeOrigin();
  if (code !== undefined) origin.inject({ on: 'list', key: 'acme-', what: new OrcaError(code, 'no list') });
  const pattern = rule('team-*', 'acme-*');
  const probes = open(origin, [pattern]);
  await probes.probe(pattern, signal);
  expect(probes.results().get('team-*')).toMatchObject({ state });
  expect(origin.counts).toMatchObject({ lists: 1, probes: 0 });
});
