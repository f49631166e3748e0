import { expect, test } from 'vitest';
import { manifestName } from '#cache/core/peer/head-request.ts';
import { readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { manifestsWritten, MINUTE_MS, OBJECT, openMetadata, TOMBSTONE } from '#test/support/metadata-engines.ts';

test('after a restart of all replicas while the origin is down, the manifest is served', async () => {
  const before = openMetadata();
  const { bytes } = await before.get();
  await before.engines.replicas[0]!.engine.idle();
  await manifestsWritten();
  await before.clock.advance(10 * MINUTE_MS);
  const after = openMetadata({ store: before.store, clock: before.clock });
  after.stopOrigin();
  const again = await whileTimePasses(before.clock, readAll(after.engines.replicas[0]!.engine, readRequest('a')));
  expect(again.bytes.equals(bytes)).toBe(true);
  expect(again.result.stale).toBe(true);
  expect(again.result.ageMs).toBeGreaterThanOrEqual(10 * MINUTE_MS);
});

test('the age in a manifest is right for a replica whose clock counts from another time', async () => {
  const before = openMetadata();
  await before.get();
  await before.engines.replicas[0]!.engine.idle();
  await manifestsWritten();
  await before.clock.advance(10 * MINUTE_MS);
  // Engines count time from the start of their machine; only dates are comparable.
  const { clock } = before;
  const shifted = { ...clock, now: () => clock.now() - 1_000_000_000 };
  const after = openMetadata({ store: before.store, clock: shifted });
  after.stopOrigin();
  const { stale, ageMs } = await after.head();
  expect(stale).toBe(true);
  expect(ageMs).toBeGreaterThanOrEqual(10 * MINUTE_MS);
  expect(ageMs).toBeLessThan(11 * MINUTE_MS);
});

test('a recent manifest saves the HEAD after a restart', async () => {
  const before = openMetadata();
  await before.head();
  await manifestsWritten();
  const after = openMetadata({ store: before.store, clock: before.clock });
  const answer = readAll(after.engines.replicas[0]!.engine, readRequest('a', { headOnly: true }));
  expect((await whileTimePasses(before.clock, answer)).result.status).toBe(200);
  expect(after.origin.counts.heads).toBe(0);
});

test('a manifest is written on each change and rarely otherwise, and becomes a tombstone on deletion', async () => {
  const { clock, origin, store, head } = openMetadata();
  const text = async () => {
    await manifestsWritten();
    const bytes = await store.getSmall(manifestName(OBJECT), { signal: new AbortController().signal });
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>);
  };
  const { head: first } = await head();
  const one = await text();
  expect(one).toMatchObject({ etag: first.etag, sizeBytes: 1_000 });
  await clock.advance(6 * MINUTE_MS);
  await head();
  expect(await text()).toEqual(one);
  await clock.advance(61 * MINUTE_MS);
  await head();
  expect((await text())?.['learnedMs']).toBeGreaterThan(Number(one?.['learnedMs']));
  origin.remove('far-models', 'a');
  await clock.advance(6 * MINUTE_MS);
  await expect(head()).rejects.toMatchObject({ code: 'not_found' });
  expect(await text()).toMatchObject(TOMBSTONE);
});

test('an older record never replaces a newer one', async () => {
  const { clock, store, origin, head } = openMetadata();
  await clock.advance(6 * MINUTE_MS);
  const later = JSON.stringify({
    format: 1,
    // Written by a replica whose clock is ahead.
    learnedMs: clock.now() + MINUTE_MS,
    etag: 'later',
    sizeBytes: 1,
    lastModifiedMs: 0,
    headers: {},
  });
  const call = { signal: new AbortController().signal };
  await store.putSmall(manifestName(OBJECT), Buffer.from(later), call);
  await head();
  await manifestsWritten();
  expect(origin.counts.heads).toBe(1);
  expect(Buffer.from((await store.getSmall(manifestName(OBJECT), call))!).toString()).toBe(later);
});

test('an invalid manifest counts as missing', async () => {
  const { store, origin, head } = openMetadata();
  const call = { signal: new AbortController().signal };
  for (const invalid of ['', '{', '{"format":1}', '{"format":1,"learnedMs":1,"etag":"","sizeBytes":-1}', '[]']) {
    await store.putSmall(manifestName(OBJECT), Buffer.from(invalid), call);
    expect((await head()).status).toBe(200);
  }
  expect(origin.counts.heads).toBe(1);
});
