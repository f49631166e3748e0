import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { manifestName } from '#cache/core/peer/head-request.ts';
import { evictMemory } from '#test/support/engine-checks.ts';
import { openEngines, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { manifestsWritten, MINUTE_MS, OBJECT, openMetadata, TOMBSTONE } from '#test/support/metadata-engines.ts';

/** As in test/support/engines.ts. */
const NEGATIVE_TTL_MS = 60_000;

test('a head is requested once per TTL, and revalidated while the known one is still served', async () => {
  const { clock, origin, head } = openMetadata();
  for (let i = 0; i < 3; i++) await head();
  expect(origin.counts.heads).toBe(1);
  await clock.advance(5 * MINUTE_MS + 1_000);
  expect((await head()).ageMs).toBeGreaterThan(5 * MINUTE_MS);
  expect(origin.counts.heads).toBe(2);
  expect((await head()).ageMs).toBeLessThan(5_000);
  await clock.advance(6 * MINUTE_MS);
  expect((await head()).ageMs).toBeLessThan(5_000);
  expect(origin.counts.heads).toBe(3);
});

test('while the origin’s circuit breaker is open, known objects are served without delay', async () => {
  const { clock, engines, origin, get, head, stopOrigin } = openMetadata();
  // The chunk is in memory too.
  await get();
  await clock.advance(6 * MINUTE_MS);
  stopOrigin();
  for (let i = 0; i < 4; i++) await head();
  const { heads } = origin.counts;
  const { counts, engine } = engines.replicas[0]!;
  const requests = counts.originRequests['head'];
  // Less than a retry's longest pause before the breaker's next probe.
  await clock.advance(3_500);
  // The clock does not advance here: a read that waited would never end.
  for (let i = 0; i < 5; i++)
    expect(await readAll(engine, readRequest('a'))).toMatchObject({ result: { stale: true } });
  expect(origin.counts.heads).toBe(heads);
  expect(counts.originRequests['head']).toBe(requests);
});

test('a HEAD in flight during a purge answers its waiters, and is not recorded', async () => {
  const { engines, origin, head } = openMetadata();
  origin.headGate.hold();
  const early = head();
  await origin.headGate.reached();
  engines.replicas[0]!.engine.purge({ bucket: 'models', key: 'a' });
  origin.headGate.release();
  expect((await early).status).toBe(200);
  await head();
  expect(origin.counts.heads).toBe(2);
});

test('a missing object is cached for the negative TTL', async () => {
  const { replicas, origin } = openEngines();
  origin.createBucket('far-models');
  const { engine } = replicas[0]!;
  for (let i = 0; i < 3; i++)
    await expect(engine.read(readRequest('none'))).rejects.toMatchObject({ code: 'not_found' });
  expect(origin.counts.heads).toBe(1);
});

describe('three replicas', () => {
  test('send one HEAD in total, and age counts from the origin’s answer', async () => {
    const { clock, origin, head } = openMetadata({ replicas: 3 });
    await head(0);
    await clock.advance(2 * MINUTE_MS);
    const ages = [await head(1), await head(2)].map(({ ageMs }) => ageMs);
    expect(origin.counts.heads).toBe(1);
    for (const ageMs of ages) expect(ageMs === 0 || ageMs >= 2 * MINUTE_MS).toBe(true);
    await clock.advance(3 * MINUTE_MS + 1_000);
    await clock.advance(MINUTE_MS);
    for (const i of [0, 1, 2]) await head(i);
    expect(origin.counts.heads).toBe(2);
  });

  test('send the HEAD themselves when the object’s coordinators are down', async () => {
    const { engines, origin, head } = openMetadata({ replicas: 3 });
    engines.replicas[1]!.dead = true;
    engines.replicas[2]!.dead = true;
    expect((await head(0)).status).toBe(200);
    expect(origin.counts.heads).toBe(1);
  });

  test('report a missing object for one negative TTL, counted from the origin’s answer', async () => {
    const { clock, origin, head } = openMetadata({ replicas: 3 });
    origin.remove('far-models', 'a');
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    await clock.advance(NEGATIVE_TTL_MS - 2_000);
    for (const i of [1, 2]) await expect(head(i)).rejects.toMatchObject({ code: 'not_found' });
    expect(origin.counts.heads).toBe(1);
    origin.put('far-models', 'a', patternBytes(10, 5));
    await clock.advance(2_000);
    for (const i of [0, 1, 2]) expect((await head(i)).head.sizeBytes).toBe(10);
  });

  test('drop the metadata of a changed object everywhere', async () => {
    const { origin, engines, get } = openMetadata({ replicas: 3 });
    for (const i of [0, 1, 2]) await get(i);
    const changed = patternBytes(2_000, 2);
    origin.put('far-models', 'a', changed);
    evictMemory(engines);
    for (const path of engines.store.paths()) engines.store.vanish(path);
    expect((await get(0)).bytes.equals(changed)).toBe(true);
    for (const i of [1, 2]) expect((await get(i)).bytes.equals(changed)).toBe(true);
    expect(origin.counts.heads).toBe(2);
  });

  test('query the origin again after a purge, which replaces the manifest by a tombstone', async () => {
    const { clock, engines, origin, store, get, head, stopOrigin } = openMetadata({ replicas: 3 });
    for (const i of [0, 1, 2]) await head(i);
    await manifestsWritten();
    const changed = patternBytes(3_000, 4);
    origin.put('far-models', 'a', changed);
    expect((await head(2)).head.sizeBytes).toBe(1_000);

    engines.replicas[1]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, manifestsWritten());
    for (const i of [0, 1, 2]) expect((await get(i)).bytes.equals(changed)).toBe(true);
    expect(origin.counts.heads).toBe(2);

    engines.replicas[0]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, manifestsWritten());
    stopOrigin();
    await expect(head(1)).rejects.toMatchObject({ code: 'origin_unavailable' });
    const manifest = await store.getSmall(manifestName(OBJECT), { signal: AbortSignal.timeout(1_000) });
    expect(JSON.parse(Buffer.from(manifest!).toString())).toMatchObject(TOMBSTONE);
  });

  test('write the manifest of a purged, unchanged object again', async () => {
    const { clock, engines, store, head } = openMetadata({ replicas: 3 });
    await head(0);
    await whileTimePasses(clock, manifestsWritten());
    engines.replicas[2]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, manifestsWritten());
    await clock.advance(1_000);
    await head(0);
    await whileTimePasses(clock, manifestsWritten());
    const manifest = await store.getSmall(manifestName(OBJECT), { signal: AbortSignal.timeout(1_000) });
    expect(JSON.parse(Buffer.from(manifest!).toString())).toMatchObject({ sizeBytes: 1_000 });
  });

  test('find an object that was missing before a purge', async () => {
    const { clock, engines, origin, head } = openMetadata({ replicas: 3 });
    origin.remove('far-models', 'a');
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    origin.put('far-models', 'a', patternBytes(10, 5));
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    engines.replicas[1]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, manifestsWritten());
    expect((await head(0)).head.sizeBytes).toBe(10);
    expect(() => engines.replicas[1]!.engine.purge({ bucket: 'others', key: 'a' })).toThrow(/not served by this cache/);
  });

  test('accept an If-None-Match with a newer ETag than a replica’s own entry: it is not modified', async () => {
    const { clock, origin, head } = openMetadata({ replicas: 3 });
    await head(0);
    const { etag } = origin.put('far-models', 'a', patternBytes(1_000, 2));
    await clock.advance(2_000);
    expect((await head(0, { conditions: { ifNoneMatch: `"${etag}"` } })).status).toBe(304);
  });

  test('accept an If-Match with a newer ETag than a replica’s own entry', async () => {
    const { clock, origin, head } = openMetadata({ replicas: 3 });
    for (const i of [0, 1, 2]) await head(i);
    await clock.advance(5_000);
    const { etag } = origin.put('far-models', 'a', patternBytes(1_000, 2));
    for (const i of [0, 1, 2]) {
      const result = await head(i, { conditions: { ifMatch: `"${etag}"` } });
      expect(result.head.etag).toBe(etag);
    }
  });
});

describe('while the origin is down', () => {
  test('known metadata is served, marked as stale; unknown objects fail', async () => {
    const { clock, engines, head, stopOrigin } = openMetadata();
    await head();
    stopOrigin();
    await clock.advance(10 * MINUTE_MS);
    expect(await head()).toMatchObject({ stale: true, status: 200 });
    const unknown = whileTimePasses(clock, readAll(engines.replicas[0]!.engine, readRequest('b')));
    await expect(unknown).rejects.toMatchObject({ code: 'origin_unavailable' });
    await clock.advance(24 * 60 * MINUTE_MS);
    await expect(head()).rejects.toMatchObject({ code: 'origin_unavailable' });
  });

  test('stale metadata is not served after the origin has denied access', async () => {
    const { clock, origin, head } = openMetadata();
    await head();
    await manifestsWritten();
    await clock.advance(10 * MINUTE_MS);
    origin.inject({ on: 'head', what: new OrcaError('origin_denied', 'key revoked') });
    await expect(head()).rejects.toMatchObject({ code: 'origin_denied' });
    origin.remove('far-models', 'a');
    await expect(head()).rejects.toMatchObject({ code: 'not_found' });
  });
});
