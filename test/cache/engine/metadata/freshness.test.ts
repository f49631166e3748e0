/** What `metadata.ttl` and `metadata.staleWhileRevalidate` promise, and which requests between replicas it costs. */
import { expect, test, vi } from 'vitest';
import { objectHash } from '#cache/core/peer/head-request.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { evictMemory, turns } from '#test/support/engine-checks.ts';
import { patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { MINUTE_MS, OBJECT, openMetadata } from '#test/support/metadata-engines.ts';

const RULE = { name: 'models', originBucket: 'far-models', prefix: '' };
const STRICT = [{ ...RULE, metadataTtlMs: 0, immutable: false }];

test('with a TTL of 0 every read sees the last write, on every replica, for one HEAD each', async () => {
  const { clock, origin, get } = openMetadata({ replicas: 3, buckets: STRICT });
  for (let version = 0; version < 12; version++) {
    const body = patternBytes(1_000, version);
    origin.put('far-models', 'a', body);
    for (const replica of [0, 1, 2]) expect((await get(replica)).bytes.equals(body)).toBe(true);
    if (version % 3 === 0) await clock.advance(10_000);
  }
  expect(origin.counts.heads).toBe(36);
});

test('with a TTL of 0 an object that was missing is seen as soon as it is written', async () => {
  const { origin, head } = openMetadata({ replicas: 2, buckets: STRICT });
  origin.remove('far-models', 'a');
  for (const replica of [0, 1]) await expect(head(replica)).rejects.toMatchObject({ code: 'not_found' });
  origin.put('far-models', 'a', 'x');
  for (const replica of [0, 1]) expect((await head(replica)).head.sizeBytes).toBe(1);
  origin.remove('far-models', 'a');
  for (const replica of [0, 1]) await expect(head(replica)).rejects.toMatchObject({ code: 'not_found' });
});

test('with a TTL of 0 concurrent reads share one HEAD, but not one that began before them', async () => {
  const { origin, engines, clock } = openMetadata({ buckets: STRICT });
  const read = () => readAll(engines.replicas[0]!.engine, readRequest('a', { headOnly: true }));
  origin.headGate.hold();
  const first = read();
  await turns(3);
  const later = Array.from({ length: 50 }, read);
  await turns(3);
  expect(origin.counts.heads).toBe(1);
  const { etag } = origin.put('far-models', 'a', 'changed');
  origin.headGate.release();
  await whileTimePasses(clock, Promise.all([first, ...later]));
  for (const { result } of await Promise.all(later)) expect(result.head.etag).toBe(etag);
  expect(origin.counts.heads).toBe(2);
});

test('an entry is used for at most its TTL again while it is revalidated', async () => {
  const { clock, origin, head } = openMetadata({ buckets: [{ ...STRICT[0]!, metadataTtlMs: 1_000 }] });
  await head();
  await clock.advance(1_200);
  expect((await head()).ageMs).toBeGreaterThanOrEqual(1_200);
  await turns(5);
  expect((await head()).ageMs).toBeLessThan(1_000);
  await clock.advance(2_000);
  expect((await head()).ageMs).toBeLessThan(1_000);
  expect(origin.counts.heads).toBe(3);
});

test('an immutable bucket costs one HEAD', async () => {
  const { clock, origin, head } = openMetadata({ buckets: [{ ...RULE, metadataTtlMs: 0, immutable: true }] });
  for (let i = 0; i < 5; i++) {
    await head();
    await clock.advance(60 * MINUTE_MS);
  }
  expect(origin.counts.heads).toBe(1);
});

test('the time that another replica’s answer takes to arrive counts as age', async () => {
  const { clock, engines, head } = openMetadata({ replicas: 2 });
  const addresses = engines.replicas.map(({ address }) => address);
  const [coordinator] = rankPeers(objectHash(OBJECT), addresses, 1);
  const { metadata } = engines.replicas.find(({ address }) => address === coordinator)!.engine;
  const serve = metadata.serve.bind(metadata);
  vi.spyOn(metadata, 'serve').mockImplementation(async (...args) => {
    const known = await serve(...args);
    // As in a process that is suspended after it has read its entry.
    await clock.sleep(2_000);
    return known;
  });
  const other = engines.replicas.findIndex(({ address }) => address !== coordinator);
  expect((await head(other)).ageMs).toBeGreaterThanOrEqual(2_000);
});

test('an overwrite under 100 readers sends one invalidation to each other replica', async () => {
  const { clock, engines, origin, get } = openMetadata({ replicas: 4 });
  for (const replica of [0, 1, 2, 3]) await get(replica);
  evictMemory(engines);
  for (const path of engines.store.paths()) engines.store.vanish(path);
  const received = engines.replicas.map(({ engine }) => vi.spyOn(engine.metadata, 'forget'));
  const { heads } = origin.counts;
  const changed = patternBytes(2_000, 2);
  origin.put('far-models', 'a', changed);
  const readers = Array.from({ length: 100 }, () => readAll(engines.replicas[0]!.engine, readRequest('a')));
  for (const { bytes } of await whileTimePasses(clock, Promise.all(readers))) expect(bytes.equals(changed)).toBe(true);
  await turns(5);
  expect(received.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 1, 1]);
  expect(origin.counts.heads - heads).toBeLessThanOrEqual(2);
});

test('a version that returns, and is overwritten again, is invalidated again', async () => {
  const { clock, origin, get, head } = openMetadata({ replicas: 2 });
  const [one, two] = [patternBytes(1_000, 1), patternBytes(1_000, 2)];
  for (const [round, body] of [two, one, two, one, two].entries()) {
    for (const replica of [0, 1]) await get(replica);
    await clock.advance(10_000);
    origin.put('far-models', 'a', body);
    // One replica learns of the version; the other one may not coordinate the key.
    await expect(head(round % 2, { conditions: { ifMatch: '"other"' } })).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    await turns(5);
    for (const replica of [0, 1]) expect((await get(replica)).bytes.equals(body)).toBe(true);
  }
});
