import { describe, expect, onTestFinished, test } from 'vitest';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { Origin } from '#cache/engine/ports.ts';
import type { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import { watchReadiness, type Readiness } from '#cache/http/ops/readiness.ts';
import { countingObserver, emptyCounts } from '#test/support/engines.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const RULE = { prefix: '', immutable: false, metadataTtlMs: 1_000 };

interface Fixture {
  readonly clock: FakeClock;
  readonly readiness: Readiness;
  readonly warnings: unknown[];
  /** How each bucket's probe fails; a bucket that is not in here is reachable. */
  readonly failures: Map<string, OrcaError | 'silent'>;
}

function open(failures: Readonly<Record<string, ErrorCode | 'silent'>>, isProven?: () => boolean): Fixture {
  const clock = fakeClock();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const failing = new Map(
    Object.entries(failures).map(([bucket, code]) => [
      bucket,
      code === 'silent' ? code : new OrcaError(code, 'the origin has bucket b in region eu-west-1'),
    ]),
  );
  const origin: Origin = {
    ...fakeOrigin(),
    probe: async (bucket) => {
      const failure = failing.get(bucket);
      if (failure === 'silent') return new Promise(() => {});
      if (failure !== undefined) throw failure;
      return 'reachable';
    },
  };
  const warnings: unknown[] = [];
  const buckets = ['a', 'b'].map((name) => ({ ...RULE, name, originBucket: name }));
  const log = { debug() {}, info() {}, error() {}, warn: (_: string, fields?: object) => void warnings.push(fields) };
  const readiness = watchReadiness({
    probes: new OriginProbes({ origin, buckets, clock, observer: countingObserver(emptyCounts()) }),
    storeProbe: { describe: () => 'atomic', run: async () => {} } as unknown as StoreProbe,
    store: fakeChunkStore(),
    identity: { state: 'ours' } as OriginIdentity,
    buckets,
    peers: { ready: async () => {} } as never,
    clock,
    log: { ...log, isEnabled: () => true, child: () => log as never },
    signal: stop.signal,
    isProven,
  });
  return { clock, readiness, warnings, failures: failing };
}

describe('a pod without an operator', () => {
  test('is not ready while its origin refuses every bucket, and its checks give the reason', async () => {
    const { clock, readiness, warnings, failures } = open({ a: 'origin_wrong_region', b: 'origin_denied' });
    await clock.advance(10_000);
    expect(readiness.isReady()).toBe(false);
    expect(readiness.checks().get('bucket a')).toEqual({
      ok: false,
      message: 'origin_wrong_region: the origin has bucket b in region eu-west-1',
    });
    // Once for each bucket, not for each probe.
    expect(warnings).toHaveLength(2);
    failures.clear();
    await clock.advance(2_000);
    expect(readiness.isReady()).toBe(true);
    expect(readiness.checks().get('bucket a')).toEqual({ ok: true, message: 'reachable' });
  });

  test('is ready if one bucket can be read; the check of the other one fails', async () => {
    const { clock, readiness } = open({ a: 'bucket_not_found' });
    await clock.advance(0);
    expect(readiness.isReady()).toBe(true);
    expect(readiness.checks().get('bucket a')?.ok).toBe(false);
    expect(readiness.checks().get('bucket b')?.ok).toBe(true);
  });

  test('is ready after 5 s if no bucket answers', async () => {
    const { clock, readiness } = open({ a: 'silent', b: 'silent' });
    await clock.advance(4_999);
    expect(readiness.isReady()).toBe(false);
    await clock.advance(1);
    expect(readiness.isReady()).toBe(true);
  });

  test('is ready soon while its origin does not answer', async () => {
    const { clock, readiness } = open({ a: 'origin_unavailable', b: 'silent' });
    await clock.advance(5_000);
    expect(readiness.isReady()).toBe(true);
    expect(readiness.checks().get('bucket b')).toEqual({
      ok: false,
      message: 'origin_unavailable: no answer within 5000 ms',
    });
  });
});

test('a proven configuration is ready at once; later probes show what the origin refuses', async () => {
  const { clock, readiness } = open({ a: 'origin_denied', b: 'origin_denied' }, () => true);
  await clock.advance(0);
  expect(readiness.isReady()).toBe(true);
  expect(readiness.checks().has('bucket a')).toBe(false);
  await clock.advance(15_000);
  expect(readiness.isReady()).toBe(true);
  expect(readiness.checks().get('bucket a')?.message).toContain('origin_denied');
});
