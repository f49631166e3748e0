import { describe, expect, test, vi } from 'vitest';
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { expectNothingLeased, turns } from '#test/support/engine-checks.ts';
import {
  MIB,
  openEngines,
  patternBytes,
  peerSet,
  readAll,
  readRequest,
  whileTimePasses,
  type EnginesOptions,
  type Replica,
} from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const KEY = 'weights/model.safetensors';
const NAME = { bucket: 'models', key: KEY };
const ORIGIN_BUCKET = 'far-models';
const BODY = patternBytes(2.5 * MIB);
const NEVER = new AbortController().signal;

function opened(options: EnginesOptions = {}, body = BODY) {
  const clock = fakeClock();
  const engines = openEngines({ clock, readahead: 0, ...options });
  engines.origin.put(ORIGIN_BUCKET, KEY, body);
  const [replica] = engines.replicas as readonly [Replica];
  const chunkOf = async (index: number, from = replica): Promise<Chunk> =>
    (await from.engine.warm.resolve(NAME, NEVER)).chunkAt(index);
  const warm = async (index: number, { from = replica, signal = NEVER, knownAbsent = true } = {}) =>
    from.engine.warm.chunk(await chunkOf(index, from), { knownAbsent, requestId: 'run', signal });
  const warmAll = async (from = replica): Promise<number> => {
    const object = await from.engine.warm.resolve(NAME, NEVER);
    let originBytes = 0;
    for (let index = 0; index < object.count; index++) {
      const knownAbsent = !(await from.engine.warm.isStored(object.chunkAt(index), NEVER));
      if (knownAbsent) originBytes += (await warm(index, { from })).originBytes;
    }
    return originBytes;
  };
  return { ...engines, engines, clock, replica, engine: replica.engine, chunkOf, warm, warmAll };
}

describe('an object that is warmed', () => {
  test('is in the cachestore, and the origin has sent each byte once', async () => {
    const { engines, origin, store, warmAll } = opened();
    expect(await warmAll()).toBe(BODY.length);
    expect([store.paths().length, origin.counts.reads]).toEqual([3, 3]);
    expect(await warmAll()).toBe(0);
    expect(origin.counts.bytes).toBe(BODY.length);
    await expectNothingLeased(engines);
  });

  test('is warmed by the replicas that coordinate its chunks', async () => {
    const { store, replicas, warmAll } = opened({ replicas: 3 }, patternBytes(12 * MIB));
    expect(await warmAll()).toBe(12 * MIB);
    expect(store.paths()).toHaveLength(12);
    for (const { counts } of replicas) expect(counts.committedBytes).toBeGreaterThan(0);
  });

  test('is read without the origin', async () => {
    const { origin, engine, warmAll } = opened();
    await warmAll();
    const before = { ...origin.counts };
    expect((await readAll(engine, readRequest(KEY))).bytes.equals(BODY)).toBe(true);
    expect(origin.counts).toEqual(before);
  });

  test('has its manifest in the cachestore', async () => {
    const { store, engine } = opened();
    await engine.warm.resolve(NAME, NEVER);
    await turns(20);
    expect(store.smallNames().filter((name) => name.startsWith('_orca/manifests/'))).toHaveLength(1);
  });

  test('without bytes has no chunks', async () => {
    const { origin, engine } = opened();
    origin.put(ORIGIN_BUCKET, 'empty', '');
    expect(await engine.warm.resolve({ ...NAME, key: 'empty' }, NEVER)).toMatchObject({ count: 0 });
  });

  test.for([
    ['absent', 'not_found'],
    ['k'.repeat(1025), 'key_too_long'],
  ])('with the name %.10s is refused as a read is', async ([key = '', code]) => {
    const { engine } = opened();
    await expect(engine.warm.resolve({ bucket: 'models', key }, NEVER)).rejects.toMatchObject({ code });
    await expect(engine.warm.resolve({ bucket: 'other', key: 'a' }, NEVER)).rejects.toMatchObject({
      code: 'bucket_not_found',
    });
  });

  test('that changes is read in its new version, once it is resolved again', async () => {
    const { origin, warm, warmAll, chunkOf } = opened();
    const { etag } = (await chunkOf(0)).object;
    origin.put(ORIGIN_BUCKET, KEY, patternBytes(2 * MIB, 7));
    await expect(warm(0)).rejects.toMatchObject({ code: 'object_changed' });
    expect((await chunkOf(0)).object.etag).not.toBe(etag);
    expect(await warmAll()).toBe(2 * MIB);
  });
});

describe('a chunk', () => {
  test('that is stored costs no read, and counts as read', async () => {
    const { engine, store, warm, warmAll, chunkOf } = opened();
    await warmAll();
    const touched = vi.spyOn(engine.capacity, 'touch');
    const chunk = await chunkOf(1);
    expect(await engine.warm.isStored(chunk, NEVER)).toBe(true);
    expect(touched.mock.calls).toEqual([[chunk.path, ORIGIN_BUCKET]]);
    expect(await warm(1, { knownAbsent: false })).toEqual({ originBytes: 0 });
    expect(touched).toHaveBeenCalledTimes(2);
    expect(store.counts.won).toBe(3);
  });

  test('that was evicted since is fetched again, whatever the catalog lists', async () => {
    const { engine, engines, store, warm, warmAll, chunkOf } = opened();
    await warmAll();
    const chunk = await chunkOf(1);
    engine.memoryTier.evict(Infinity);
    store.vanish(chunk.path);
    expect(engine.catalog.has(chunk.path)).toBe(true);
    expect(await engine.warm.isStored(chunk, NEVER)).toBe(false);
    expect(await warm(1)).toEqual({ originBytes: MIB });
    await expectNothingLeased(engines);
  });

  test('that is in memory and not stored is committed without the origin', async () => {
    const { origin, store, warm, warmAll, chunkOf } = opened();
    await warmAll();
    const chunk = await chunkOf(1);
    const body = store.body(chunk.path);
    store.vanish(chunk.path);
    expect(await warm(1)).toEqual({ originBytes: 0 });
    expect(store.body(chunk.path)).toEqual(body);
    expect(origin.counts.reads).toBe(3);
  });

  test('that is cut short in the cachestore is overwritten', async () => {
    const { engine, store, warmAll, chunkOf } = opened();
    await warmAll();
    const { path } = await chunkOf(1);
    engine.memoryTier.evict(Infinity);
    store.truncate(path, 1000);
    expect(await warmAll()).toBe(MIB);
    expect(store.body(path)).toHaveLength(MIB);
  });

  test('that two prewarms want is fetched once, and counted once', async () => {
    const { origin, warm } = opened();
    origin.readGate.hold();
    const both = Promise.all([warm(0), warm(0)]);
    await origin.readGate.reached();
    origin.readGate.release();
    const originBytes = (await both).map((result) => result.originBytes);
    expect(originBytes.toSorted((a, b) => a - b)).toEqual([0, MIB]);
    expect(origin.counts.reads).toBe(1);
  });

  test('that a client reads meanwhile is fetched once, and is not in the background any more', async () => {
    const { origin, engine, warm, chunkOf } = opened();
    origin.readGate.hold();
    const warming = warm(0);
    await origin.readGate.reached();
    const flight = engine.flights.get((await chunkOf(0)).path);
    expect([flight?.isBackground, flight?.isWarm]).toEqual([true, true]);
    const reading = readAll(engine, readRequest(KEY, { range: 'bytes=0-99' }));
    await vi.waitUntil(() => flight?.isBackground === false);
    origin.readGate.release();
    expect((await reading).bytes.equals(BODY.subarray(0, 100))).toBe(true);
    expect(await warming).toEqual({ originBytes: MIB });
    expect(origin.counts.bytes).toBe(MIB);
  });

  test('whose prewarm ends before its first request is not fetched', async () => {
    const { engines, origin, engine, warm, chunkOf } = opened({ targetGlobal: 1 });
    await chunkOf(0);
    const busy = Promise.withResolvers<void>();
    const slot = engine.limiter.run('other', NEVER, () => busy.promise);
    const walker = new AbortController();
    const warming = warm(0, { signal: walker.signal });
    await turns(20);
    expect(engine.flights.count).toBe(1);
    walker.abort(new OrcaError('cancelled', 'suspended'));
    await expect(warming).rejects.toMatchObject({ code: 'cancelled' });
    busy.resolve();
    await slot;
    await engine.idle();
    expect(origin.counts.reads).toBe(0);
    await expectNothingLeased(engines);
  });
});

describe('what the walker is notified of', () => {
  test('throttling by the origin, at once', async () => {
    const { origin, warm } = opened();
    const throttled = new OrcaError('origin_throttled', 'slow down', { retryAfterMs: 2_000 });
    origin.inject({ on: 'read', what: throttled, times: 5 });
    await expect(warm(0)).rejects.toMatchObject({ code: 'origin_throttled' });
    expect(origin.counts.reads).toBe(1);
  });

  test('that the cachestore is down, before anything is fetched', async () => {
    const { origin, engine, store, warm, chunkOf } = opened();
    const chunk = await chunkOf(0);
    store.down = new OrcaError('store_unavailable', 'down');
    await expect(engine.warm.isStored(chunk, NEVER)).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(warm(0, { knownAbsent: false })).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(origin.counts.reads).toBe(0);
  });

  test('that the cachestore has refused the chunk', async () => {
    const { store, warm } = opened();
    store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'denied', { status: 403 }) });
    await expect(warm(0)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('nothing about a commit that succeeds after a retry', async () => {
    const { clock, engine, store, warm } = opened();
    const ended = new AbortController();
    const running = engine.run(ended.signal);
    store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'a moment', { status: 503 }) });
    expect(await whileTimePasses(clock, warm(0))).toEqual({ originBytes: MIB });
    expect(store.paths()).toHaveLength(1);
    ended.abort();
    await running;
  });

  test('that a client needs the memory, which it gets at once', async () => {
    const { origin, engine, warm, clock } = opened({ budgetBytes: 8 * MIB });
    origin.readGate.hold();
    const warming = warm(0);
    const failed = warming.catch((error: unknown) => error);
    await origin.readGate.reached();
    const rest = await engine.memory.lease(6 * MIB, 'fill', 'new', NEVER);
    const client = engine.memory.lease(MIB, 'fill', 'new', NEVER);
    expect(await whileTimePasses(clock, failed)).toMatchObject({ code: 'overloaded' });
    (await client).close();
    rest.close();
  });
});

describe('room', () => {
  const many = patternBytes(8 * MIB);

  test('fills hold a quarter of the memory at most, and the others follow', async () => {
    const { origin, engine, store, warm, clock } = opened({ budgetBytes: 8 * MIB }, many);
    origin.readGate.hold();
    const all = Promise.all(Array.from({ length: 8 }, (_, index) => warm(index)));
    await origin.readGate.reached(2);
    await turns(20);
    expect([engine.flights.count, origin.readGate.waiting]).toEqual([2, 2]);
    origin.readGate.release();
    await whileTimePasses(clock, all);
    expect(store.paths()).toHaveLength(8);
  });

  test('none begins while commits wait for their turn; the call fails after a minute', async () => {
    const { engine, store, origin, warm, clock } = opened({ budgetBytes: 8 * MIB }, many);
    store.commitGate.hold();
    const two = Promise.allSettled([warm(0), warm(1)]);
    await store.commitGate.reached(2);
    const third = Promise.allSettled([warm(2)]);
    await vi.waitUntil(() => !engine.outbox.keepsUp);
    const fourth = warm(3);
    await clock.advance(3_000);
    expect([origin.counts.reads, engine.memoryTier.count]).toEqual([3, 3]);
    const failed = fourth.catch((error: unknown) => error);
    await clock.advance(60_000);
    expect(await failed).toMatchObject({ code: 'overloaded' });
    store.commitGate.release();
    await whileTimePasses(clock, Promise.all([two, third]));
  });

  test('none begins while clients use half of the memory', async () => {
    const { engine, origin, warm, clock } = opened({ budgetBytes: 8 * MIB }, many);
    const half = await engine.memory.lease(4 * MIB, 'window', 'new', NEVER);
    const warming = warm(0);
    await clock.advance(10_000);
    expect(origin.counts.reads).toBe(0);
    half.close();
    expect(await whileTimePasses(clock, warming)).toEqual({ originBytes: MIB });
  });

  test('a chunk that no client has read leaves memory before one that was read', async () => {
    const { engine, origin, warm, chunkOf, clock } = opened({ budgetBytes: 8 * MIB }, many);
    origin.put(ORIGIN_BUCKET, 'hot', patternBytes(MIB, 3));
    await readAll(engine, readRequest('hot'));
    for (let index = 0; index < 8; index++) await whileTimePasses(clock, warm(index));
    const before = origin.counts.reads;
    engine.memoryTier.evict(engine.memoryTier.sizeBytes - MIB);
    expect((await readAll(engine, readRequest('hot'))).result.source).toBe('memory');
    expect([engine.memoryTier.has((await chunkOf(7)).path), origin.counts.reads]).toEqual([false, before]);
  });
});

describe('among replicas', () => {
  /** The replicas by their rank for chunk 0, and one that walks and has neither rank. */
  async function ranked() {
    const all = opened({ replicas: 3 });
    const { path } = await all.chunkOf(0);
    const order = rankPeers(path, all.replicas[0]!.view.owners);
    const at = (rank: number): Replica => all.replicas.find(({ address }) => address === order[rank])!;
    return { ...all, coordinator: at(0), runnerUp: at(1), walker: at(2) };
  }

  test('the runner-up warms what a dead coordinator should', async () => {
    const { coordinator, runnerUp, walker, warm } = await ranked();
    await warm(1, { from: walker });
    coordinator.dead = true;
    expect(await warm(0, { from: walker })).toEqual({ originBytes: MIB });
    expect(runnerUp.counts.fills).toMatchObject({ committed: 1 });
  });

  test('without the two, the walker warms it', async () => {
    const { coordinator, runnerUp, walker, warm, chunkOf } = await ranked();
    await chunkOf(0, walker);
    coordinator.dead = true;
    runnerUp.dead = true;
    expect(await warm(0, { from: walker })).toEqual({ originBytes: MIB });
    expect(walker.counts.committedBytes).toBe(MIB);
  });

  test('a coordinator that leaves begins no fill that waits for room', async () => {
    const { clock, coordinator, runnerUp, walker, warm, chunkOf } = await ranked();
    await chunkOf(0, walker);
    const { memory } = coordinator.engine;
    const half = await memory.lease(memory.budgetBytes / 2, 'window', 'new', NEVER);
    const warming = warm(0, { from: walker });
    await clock.advance(1_000);
    const others = [runnerUp, walker].map(({ address }) => address);
    for (const replica of [coordinator, runnerUp, walker]) replica.view = peerSet(replica.address, others);
    expect(await whileTimePasses(clock, warming)).toEqual({ originBytes: MIB });
    expect([coordinator.counts.committedBytes, runnerUp.counts.committedBytes]).toEqual([0, MIB]);
    half.close();
  });

  test('where views differ, the walker waits for them to agree', async () => {
    const { clock, coordinator, walker, warm, chunkOf } = await ranked();
    await chunkOf(0, walker);
    const { view } = coordinator;
    coordinator.view = peerSet(
      coordinator.address,
      view.owners.filter((address) => address !== coordinator.address),
    );
    const warming = warm(0, { from: walker });
    await clock.advance(500);
    coordinator.view = view;
    expect(await whileTimePasses(clock, warming)).toEqual({ originBytes: MIB });
    expect(coordinator.counts.committedBytes).toBe(MIB);
    expect(walker.counts.fallThroughs).toEqual({ 'coordinator/not_coordinator': 1 });
  });

  test('where they never agree, the walker warms it', async () => {
    const { clock, replicas, coordinator, runnerUp, walker, warm, chunkOf } = await ranked();
    await chunkOf(0, walker);
    for (const replica of replicas) if (replica !== walker) replica.view = peerSet(replica.address, [walker.address]);
    expect(await whileTimePasses(clock, warm(0, { from: walker }))).toEqual({ originBytes: MIB });
    expect([coordinator, runnerUp, walker].map(({ counts }) => counts.committedBytes)).toEqual([0, 0, MIB]);
  });
});
