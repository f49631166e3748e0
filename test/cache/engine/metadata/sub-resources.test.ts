import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { OBJECT_SUB_RESOURCES } from '#cache/core/s3/sub-resource.ts';
import { SubResources } from '#cache/engine/metadata/sub-resources.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { countingObserver, emptyCounts, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const NEVER = new AbortController().signal;
const TTL_MS = 5_000;
const TAGGING = OBJECT_SUB_RESOURCES['tagging']!;

function open(ttlMs = TTL_MS) {
  const clock = fakeClock();
  const origin = fakeOrigin();
  const documents = new SubResources({
    origin,
    limiter: new OriginLimiter({ targetGlobal: () => 16, replicas: () => 1, queueTimeoutMs: 5_000, clock }),
    clock,
    observer: countingObserver(emptyCounts()),
    random: () => 0.5,
    retry: { attempts: 3, backoffInitialMs: 1, backoffMaxMs: 2, maxTotalDurationMs: 5_000 },
    ttlMs,
  });
  const read = (key = 'key', versionId?: string) =>
    whileTimePasses(
      clock,
      documents.read({ bucket: 'bucket', key, ...(versionId !== undefined && { versionId }) }, TAGGING, NEVER),
    );
  return { clock, origin, documents, read };
}

test('an answer is used for its TTL, of each object and version', async () => {
  const { clock, origin, read } = open();
  origin.documents.set('bucket/key?tagging', { document: 'one' });
  origin.documents.set('bucket/key?tagging&versionId=v', { document: 'older tags' });
  origin.documents.set('bucket/other?tagging', { status: 404, code: 'NoSuchTagSet', message: 'none' });
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(await read()).toEqual({ document: 'one' });
    expect(await read('key', 'v')).toEqual({ document: 'older tags' });
    expect(await read('other')).toMatchObject({ code: 'NoSuchTagSet' });
  }
  expect(origin.counts.subResources).toBe(3);
  origin.documents.set('bucket/key?tagging', { document: 'two' });
  await clock.advance(TTL_MS);
  expect(await read()).toEqual({ document: 'two' });
});

test('with a TTL of 0 every request queries the origin', async () => {
  const { origin, read } = open(0);
  origin.documents.set('bucket/key?tagging', { document: 'one' });
  await read();
  await read();
  expect(origin.counts.subResources).toBe(2);
});

test('concurrent requests are one', async () => {
  const { clock, origin, documents } = open();
  origin.documents.set('bucket/key?tagging', { document: 'one' });
  origin.headGate.hold();
  const all = [1, 2, 3].map(() => documents.read({ bucket: 'bucket', key: 'key' }, TAGGING, NEVER));
  await origin.headGate.reached();
  origin.headGate.release();
  await whileTimePasses(clock, Promise.all(all));
  expect(origin.counts.subResources).toBe(1);
});

test('a refusal is kept for the TTL, an outage is not', async () => {
  const { origin, read } = open();
  origin.inject({ on: 'sub_resource', what: new OrcaError('access_denied', 'injected') });
  for (let attempt = 0; attempt < 2; attempt++) await expect(read()).rejects.toMatchObject({ code: 'access_denied' });
  origin.inject({ on: 'sub_resource', key: 'other', what: new OrcaError('origin_unavailable', 'injected'), times: 3 });
  origin.documents.set('bucket/other?tagging', { document: 'one' });
  await expect(read('other')).rejects.toMatchObject({ code: 'origin_unavailable' });
  expect(await read('other')).toEqual({ document: 'one' });
});

test('an expired answer is not served while the origin is down', async () => {
  const { clock, origin, read } = open();
  origin.documents.set('bucket/key?tagging', { document: 'one' });
  await read();
  await clock.advance(TTL_MS);
  origin.inject({ on: 'sub_resource', what: new OrcaError('origin_unavailable', 'injected'), times: 3 });
  await expect(read()).rejects.toMatchObject({ code: 'origin_unavailable' });
});

test('a client that accepts no age queries the origin, one that requests only what is cached does not', async () => {
  const { clock, origin, documents, read } = open();
  origin.documents.set('bucket/key?tagging', { document: 'one' });
  const accepting = (accepted: { readonly maxAgeMs: number | undefined; readonly onlyIfCached: boolean }) =>
    whileTimePasses(clock, documents.read({ bucket: 'bucket', key: 'key' }, TAGGING, NEVER, accepted));
  const onlyIfCached = { maxAgeMs: undefined, onlyIfCached: true };
  await expect(accepting(onlyIfCached)).rejects.toMatchObject({ code: 'not_cached' });
  await read();
  expect(await accepting(onlyIfCached)).toEqual({ document: 'one' });
  expect(origin.counts.subResources).toBe(1);
  origin.documents.set('bucket/key?tagging', { document: 'two' });
  expect(await accepting({ maxAgeMs: 0, onlyIfCached: false })).toEqual({ document: 'two' });
});
