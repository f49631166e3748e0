import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { manifestName } from '#cache/core/peer/head-request.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  whileTimePasses,
  type EnginesOptions,
} from '#test/support/engines.ts';

const MINUTE = 60_000;
/** As test/support/engines.ts has it. */
const NEGATIVE_TTL_MS = MINUTE;
const away = new OrcaError('origin_unavailable', 'away');
const object = { originId: 'test', bucket: 'far-models', key: 'a' };

function open(options: EnginesOptions = {}) {
  const clock = fakeClock();
  const engines = openEngines({ clock, readahead: 0, ...options });
  engines.origin.put('far-models', 'a', patternBytes(1_000, 1));
  const get = (i = 0, more: Parameters<typeof readRequest>[1] = {}) =>
    whileTimePasses(clock, readAll(engines.replicas[i]!.engine, readRequest('a', more)));
  const head = async (i = 0, more: Parameters<typeof readRequest>[1] = {}) =>
    (await get(i, { headOnly: true, ...more })).result;
  const originAway = () => engines.origin.inject({ on: 'head', what: away, times: 1_000 });
  return { clock, engines, origin: engines.origin, store: engines.store, get, head, originAway };
}

/** Manifests are written beside the request: a few turns of the event loop later they are there. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('a head is asked for once per TTL, and then again while the old one still answers', async () => {
  const { clock, origin, head } = open();
  for (let i = 0; i < 3; i++) await head();
  expect(origin.counts.heads).toBe(1);
  await clock.advance(5 * MINUTE + 1_000);
  expect((await head()).ageMs).toBeGreaterThan(5 * MINUTE);
  expect(origin.counts.heads).toBe(2);
  expect((await head()).ageMs).toBeLessThan(5_000);
  await clock.advance(6 * MINUTE);
  expect((await head()).ageMs).toBeLessThan(5_000);
  expect(origin.counts.heads).toBe(3);
});

test('an origin that is not asked any more makes nobody wait for what is known', async () => {
  const { clock, engines, origin, get, head, originAway } = open();
  // Its bytes are known too.
  await get();
  await clock.advance(6 * MINUTE);
  originAway();
  for (let i = 0; i < 4; i++) await head();
  const { heads } = origin.counts;
  const { counts, engine } = engines.replicas[0]!;
  const told = counts.originRequests['head'];
  // Less than a retry's longest pause before the breaker's next probe.
  await clock.advance(3_500);
  // No time passes here: whoever waited would wait for ever.
  for (let i = 0; i < 5; i++)
    expect(await readAll(engine, readRequest('a'))).toMatchObject({ result: { stale: true } });
  expect(origin.counts.heads).toBe(heads);
  expect(counts.originRequests['head']).toBe(told);
});

describe('of three replicas', () => {
  test('one asks the origin, whoever is asked, and age counts from its answer', async () => {
    const { clock, origin, head } = open({ replicas: 3 });
    await head(0);
    await clock.advance(2 * MINUTE);
    const ages = [await head(1), await head(2)].map(({ ageMs }) => ageMs);
    expect(origin.counts.heads).toBe(1);
    for (const ageMs of ages) expect(ageMs === 0 || ageMs >= 2 * MINUTE).toBe(true);
    await clock.advance(3 * MINUTE + 1_000);
    await clock.advance(MINUTE);
    for (const i of [0, 1, 2]) await head(i);
    expect(origin.counts.heads).toBe(2);
  });

  test('with its coordinator dead the next one asks, and with all dead oneself', async () => {
    const { engines, origin, head } = open({ replicas: 3 });
    engines.replicas[1]!.dead = true;
    engines.replicas[2]!.dead = true;
    expect((await head(0)).status).toBe(200);
    expect(origin.counts.heads).toBe(1);
  });

  test("what is absent is told for one negative TTL from the origin's answer, whoever tells it", async () => {
    const { clock, origin, head } = open({ replicas: 3 });
    origin.remove('far-models', 'a');
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    await clock.advance(NEGATIVE_TTL_MS - 2_000);
    for (const i of [1, 2]) await expect(head(i)).rejects.toMatchObject({ code: 'not_found' });
    expect(origin.counts.heads).toBe(1);
    origin.put('far-models', 'a', patternBytes(10, 5));
    await clock.advance(2_000);
    for (const i of [0, 1, 2]) expect((await head(i)).head.sizeBytes).toBe(10);
  });

  test('a changed object is forgotten by all', async () => {
    const { origin, engines, get } = open({ replicas: 3 });
    for (const i of [0, 1, 2]) await get(i);
    const changed = patternBytes(2_000, 2);
    origin.put('far-models', 'a', changed);
    for (const { engine } of engines.replicas) engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    for (const path of engines.store.paths()) engines.store.vanish(path);
    expect((await get(0)).bytes.equals(changed)).toBe(true);
    for (const i of [1, 2]) expect((await get(i)).bytes.equals(changed)).toBe(true);
    expect(origin.counts.heads).toBe(2);
  });

  test('a purge makes all of them ask anew, and the manifest tells nothing any more', async () => {
    const { clock, engines, origin, store, get, head, originAway } = open({ replicas: 3 });
    for (const i of [0, 1, 2]) await head(i);
    await settle();
    const changed = patternBytes(3_000, 4);
    origin.put('far-models', 'a', changed);
    expect((await head(2)).head.sizeBytes).toBe(1_000);

    engines.replicas[1]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, settle());
    for (const i of [0, 1, 2]) expect((await get(i)).bytes.equals(changed)).toBe(true);
    expect(origin.counts.heads).toBe(2);

    engines.replicas[0]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, settle());
    originAway();
    await expect(head(1)).rejects.toMatchObject({ code: 'origin_unavailable' });
    const manifest = await store.getSmall(manifestName(object), { signal: AbortSignal.timeout(1_000) });
    expect(JSON.parse(Buffer.from(manifest!).toString())).toMatchObject({ gone: true });
  });

  test('a purged object that has not changed is written down again', async () => {
    const { clock, engines, store, head } = open({ replicas: 3 });
    await head(0);
    await whileTimePasses(clock, settle());
    engines.replicas[2]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, settle());
    await clock.advance(1_000);
    await head(0);
    await whileTimePasses(clock, settle());
    const manifest = await store.getSmall(manifestName(object), { signal: AbortSignal.timeout(1_000) });
    expect(JSON.parse(Buffer.from(manifest!).toString())).toMatchObject({ sizeBytes: 1_000 });
  });

  test('a purge of what was absent finds it', async () => {
    const { clock, engines, origin, head } = open({ replicas: 3 });
    origin.remove('far-models', 'a');
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    origin.put('far-models', 'a', patternBytes(10, 5));
    await expect(head(0)).rejects.toMatchObject({ code: 'not_found' });
    engines.replicas[1]!.engine.purge({ bucket: 'models', key: 'a' });
    await whileTimePasses(clock, settle());
    expect((await head(0)).head.sizeBytes).toBe(10);
    expect(() => engines.replicas[1]!.engine.purge({ bucket: 'others', key: 'a' })).toThrow(/not served by this cache/);
  });

  test('an SDK that did HEAD on one and GET with If-Match on another does not fail for an older entry', async () => {
    const { clock, origin, head } = open({ replicas: 3 });
    for (const i of [0, 1, 2]) await head(i);
    await clock.advance(5_000);
    const { etag } = origin.put('far-models', 'a', patternBytes(1_000, 2));
    for (const i of [0, 1, 2]) {
      const result = await head(i, { conditions: { ifMatch: `"${etag}"` } });
      expect(result.head.etag).toBe(etag);
    }
  });
});

describe('while the origin is away', () => {
  test('what is known goes on, marked as stale, and what is unknown is not made up', async () => {
    const { clock, engines, head, originAway } = open();
    await head();
    originAway();
    await clock.advance(10 * MINUTE);
    expect(await head()).toMatchObject({ stale: true, status: 200 });
    const unknown = whileTimePasses(clock, readAll(engines.replicas[0]!.engine, readRequest('b')));
    await expect(unknown).rejects.toMatchObject({ code: 'origin_unavailable' });
    await clock.advance(24 * 60 * MINUTE);
    await expect(head()).rejects.toMatchObject({ code: 'origin_unavailable' });
  });

  test('after a restart of everybody the manifest answers', async () => {
    const before = open();
    const { bytes } = await before.get();
    await before.engines.replicas[0]!.engine.idle();
    await settle();
    await before.clock.advance(10 * MINUTE);
    const after = open({ store: before.store, clock: before.clock });
    after.originAway();
    const again = await whileTimePasses(before.clock, readAll(after.engines.replicas[0]!.engine, readRequest('a')));
    expect(again.bytes.equals(bytes)).toBe(true);
    expect(again.result.stale).toBe(true);
    expect(again.result.ageMs).toBeGreaterThanOrEqual(10 * MINUTE);
  });

  test('never after the origin has said no', async () => {
    const { clock, origin, head } = open();
    await head();
    await settle();
    await clock.advance(10 * MINUTE);
    origin.inject({ on: 'head', what: new OrcaError('origin_denied', 'key revoked') });
    await expect(head()).rejects.toMatchObject({ code: 'origin_denied' });
    origin.remove('far-models', 'a');
    await expect(head()).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('manifests', () => {
  test('a fresh one saves the HEAD after a restart', async () => {
    const before = open();
    await before.head();
    await settle();
    const after = open({ store: before.store, clock: before.clock });
    const answer = readAll(after.engines.replicas[0]!.engine, readRequest('a', { headOnly: true }));
    expect((await whileTimePasses(before.clock, answer)).result.status).toBe(200);
    expect(after.origin.counts.heads).toBe(0);
  });

  test('are written on change and seldom else, and a tombstone when the object is gone', async () => {
    const { clock, origin, store, head } = open();
    const text = async () => {
      await settle();
      const bytes = await store.getSmall(manifestName(object), { signal: new AbortController().signal });
      return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>);
    };
    const { head: first } = await head();
    const one = await text();
    expect(one).toMatchObject({ etag: first.etag, sizeBytes: 1_000 });
    await clock.advance(6 * MINUTE);
    await head();
    expect(await text()).toEqual(one);
    await clock.advance(61 * MINUTE);
    await head();
    expect((await text())?.['learnedMs']).toBeGreaterThan(Number(one?.['learnedMs']));
    origin.remove('far-models', 'a');
    await clock.advance(6 * MINUTE);
    await expect(head()).rejects.toMatchObject({ code: 'not_found' });
    expect(await text()).toMatchObject({ gone: true });
  });

  test('an older word never replaces a later one', async () => {
    const { clock, store, origin, head } = open();
    await clock.advance(6 * MINUTE);
    const later = JSON.stringify({
      format: 1,
      // Of a replica whose clock runs ahead.
      learnedMs: clock.now() + MINUTE,
      etag: 'later',
      sizeBytes: 1,
      lastModifiedMs: 0,
      headers: {},
    });
    const call = { signal: new AbortController().signal };
    await store.putSmall(manifestName(object), Buffer.from(later), call);
    await head();
    await settle();
    expect(origin.counts.heads).toBe(1);
    expect(Buffer.from((await store.getSmall(manifestName(object), call))!).toString()).toBe(later);
  });

  test('rubbish in the store is as good as none', async () => {
    const { store, origin, head } = open();
    const call = { signal: new AbortController().signal };
    for (const rubbish of ['', '{', '{"format":1}', '{"format":1,"learnedMs":1,"etag":"","sizeBytes":-1}', '[]']) {
      await store.putSmall(manifestName(object), Buffer.from(rubbish), call);
      expect((await head()).status).toBe(200);
    }
    expect(origin.counts.heads).toBe(1);
  });
});
