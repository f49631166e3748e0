import { describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  peerSet,
  readAll,
  readRequest,
  whileTimePasses,
  type Engines,
} from '#test/support/engines.ts';

const total = (engines: Engines, pick: (counts: Engines['replicas'][number]['counts']) => number) =>
  engines.replicas.reduce((sum, { counts }) => sum + pick(counts), 0);

/** Nothing is leased but what the memory tier keeps. */
async function expectWhole(engines: Engines): Promise<void> {
  for (const { engine } of engines.replicas) {
    await engine.idle();
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  }
}

describe('one replica', () => {
  test('serves a cold object in full, commits its chunks, and serves it warm without the origin', async () => {
    const engines = openEngines();
    const [replica] = engines.replicas;
    const body = patternBytes(3 * MIB + 12_345);
    engines.origin.put('far-models', 'a', body);
    const cold = await readAll(replica!.engine, readRequest('a'));
    expect(cold.bytes.equals(body)).toBe(true);
    expect(cold.result).toMatchObject({ status: 200, source: 'fill' });
    await expectWhole(engines);
    expect(engines.store.paths()).toHaveLength(4);
    engines.origin.remove('far-models', 'a');
    const warm = await readAll(replica!.engine, readRequest('a'));
    expect(warm.bytes.equals(body)).toBe(true);
    expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 4, bytes: body.length });
  });

  test('reads one chunk once for fifty readers at once', async () => {
    const engines = openEngines();
    const body = patternBytes(2 * MIB + 1);
    engines.origin.put('far-models', 'a', body);
    const reads = Array.from({ length: 50 }, () => readAll(engines.replicas[0]!.engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 3, bytes: body.length });
    await expectWhole(engines);
  });

  test.for([
    ['bytes=0-0', 0, 1],
    ['bytes=1048575-1048576', MIB - 1, MIB + 1],
    ['bytes=1048576-2097151', MIB, 2 * MIB],
    ['bytes=100-3000000', 100, 3_000_001],
    ['bytes=-5', 3 * MIB + 95, 3 * MIB + 100],
    ['bytes=3145728-', 3 * MIB, 3 * MIB + 100],
  ] as const)('serves %s exactly, cold and from the cachestore', async ([range, from, to]) => {
    const engines = openEngines();
    const body = patternBytes(3 * MIB + 100);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    const cold = await readAll(engine, readRequest('a', { range }));
    expect(cold.result).toMatchObject({ status: 206, range: { from, to } });
    expect(cold.bytes.equals(body.subarray(from, to))).toBe(true);
    await engine.idle();
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    const warm = await readAll(engine, readRequest('a', { range }));
    expect(warm.result.source).toBe('store');
    expect(warm.bytes.equals(body.subarray(from, to))).toBe(true);
    await expectWhole(engines);
  });

  test('an empty object has an empty body and asks the origin for no bytes', async () => {
    const engines = openEngines();
    engines.origin.put('far-models', 'empty', Buffer.alloc(0));
    const { bytes, result } = await readAll(engines.replicas[0]!.engine, readRequest('empty'));
    expect(bytes).toHaveLength(0);
    expect(result.status).toBe(200);
    expect(engines.origin.counts.reads).toBe(0);
  });

  test('a body that is cut goes on where it broke, and is committed whole', async () => {
    const engines = openEngines();
    const body = patternBytes(MIB);
    engines.origin.put('far-models', 'a', body);
    engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 300_000 });
    const { bytes } = await readAll(engines.replicas[0]!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.reads.map(({ range }) => range.from)).toEqual([0, 300_000]);
    expect(engines.origin.counts.bytes).toBe(body.length);
    await expectWhole(engines);
    const path = engines.store.paths()[0]!;
    expect(Buffer.from(engines.store.body(path)!).equals(body)).toBe(true);
  });

  test('a body that stays short is never committed, and breaks the response', async () => {
    const engines = openEngines();
    engines.origin.put('far-models', 'a', patternBytes(MIB));
    engines.origin.inject({ on: 'read', what: 'short', afterBytes: 10, times: 100 });
    const { engine } = engines.replicas[0]!;
    await expect(readAll(engine, readRequest('a'))).rejects.toMatchObject({ code: 'origin_unavailable' });
    // Three tries for the fill, and once more as the ladder's last rung does not give a started body up at once.
    expect(engines.origin.counts.reads).toBeLessThanOrEqual(6);
    expect(engines.store.paths()).toEqual([]);
    await expectWhole(engines);
  });

  test('an object that changes before its first byte is resolved again, unseen by the client', async () => {
    const engines = openEngines();
    engines.origin.put('far-models', 'a', patternBytes(MIB, 1));
    const { engine } = engines.replicas[0]!;
    await engine.read(readRequest('a', { headOnly: true }));
    const changed = patternBytes(MIB + 7, 2);
    engines.origin.put('far-models', 'a', changed);
    const { bytes, result } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(changed)).toBe(true);
    expect(result.head.sizeBytes).toBe(changed.length);
    await expectWhole(engines);
  });

  test('an object that changes during the read breaks it', async () => {
    const engines = openEngines({ readahead: 0 });
    engines.origin.put('far-models', 'a', patternBytes(3 * MIB, 1));
    const { engine } = engines.replicas[0]!;
    const result = await engine.read(readRequest('a'));
    engines.origin.put('far-models', 'a', patternBytes(3 * MIB, 2));
    await expect(collect(result)).rejects.toMatchObject({ code: 'object_changed' });
    await expectWhole(engines);
  });

  test('bytes flipped in the cachestore never leave: the chunk is filled again and overwritten', async () => {
    const engines = openEngines();
    const body = patternBytes(MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    await readAll(engine, readRequest('a'));
    await engine.idle();
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    const path = engines.store.paths()[0]!;
    engines.store.flip(path, 500_000);
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    await engine.idle();
    expect(Buffer.from(engines.store.body(path)!).equals(body)).toBe(true);
    await expectWhole(engines);
  });

  test('chunks that vanish from the cachestore cost a refill and nothing else', async () => {
    const engines = openEngines();
    const body = patternBytes(2 * MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    await readAll(engine, readRequest('a'));
    await engine.idle();
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    for (const path of engines.store.paths()) engines.store.vanish(path);
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    await engine.idle();
    expect(engines.store.paths()).toHaveLength(2);
    expect(engines.origin.counts.bytes).toBe(2 * body.length);
  });

  test('serves from the origin while the cachestore is away, also what it knows as stored', async () => {
    const engines = openEngines();
    const body = patternBytes(2 * MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    await readAll(engine, readRequest('a'));
    await engine.idle();
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    engines.store.down = new OrcaError('store_unavailable', 'gone', { status: 403 });
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
  });

  test('a failed commit costs the client nothing', async () => {
    const engines = openEngines();
    const body = patternBytes(MIB);
    engines.origin.put('far-models', 'a', body);
    engines.store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'refused', { status: 403 }) });
    const { bytes } = await readAll(engines.replicas[0]!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    await expectWhole(engines);
    expect(engines.replicas[0]!.counts.fills).toEqual({ uncommitted: 1 });
  });

  test('the commit waits for no client, and the flight can be joined until it is done', async () => {
    const engines = openEngines();
    const body = patternBytes(MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    engines.store.commitGate.hold();
    const slow = await engine.read(readRequest('a'));
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    expect(engine.flights.count).toBe(1);
    engines.store.commitGate.release();
    await engine.idle();
    expect(engines.store.counts.won).toBe(1);
    expect((await collect(slow)).equals(body)).toBe(true);
    expect(engines.origin.counts.reads).toBe(1);
    await expectWhole(engines);
  });

  test('a client that leaves gives everything back', async () => {
    const engines = openEngines({ chunkBytes: MIB });
    engines.origin.put('far-models', 'a', patternBytes(20 * MIB));
    const { engine } = engines.replicas[0]!;
    const gone = new AbortController();
    const result = await engine.read(readRequest('a', { signal: gone.signal }));
    const first = await result.body.next();
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    if (first.done !== true) first.value.release();
    await result.body.return();
    await expectWhole(engines);
  });

  test('refuses what is not on the allow-list, and keys that are too long', async () => {
    const { replicas, origin } = openEngines();
    const { engine } = replicas[0]!;
    await expect(engine.read(readRequest('a', { bucket: 'far-models' }))).rejects.toMatchObject({
      code: 'bucket_not_found',
    });
    await expect(engine.read(readRequest('é'.repeat(513)))).rejects.toMatchObject({ code: 'key_too_long' });
    expect(origin.counts.heads).toBe(0);
  });

  test('remembers an absence for the negative TTL', async () => {
    const { replicas, origin } = openEngines();
    origin.createBucket('far-models');
    const { engine } = replicas[0]!;
    for (let i = 0; i < 3; i++)
      await expect(engine.read(readRequest('none'))).rejects.toMatchObject({ code: 'not_found' });
    expect(origin.counts.heads).toBe(1);
  });
});

describe('three replicas', () => {
  test('fetch each chunk once between them, however many ask, and share the work', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes(8 * MIB);
    engines.origin.put('far-models', 'a', body);
    const reads = Array.from({ length: 12 }, (_, i) => readAll(engines.replicas[i % 3]!.engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBe(body.length);
    expect(engines.origin.counts.reads).toBe(64);
    for (const { counts } of engines.replicas) expect(counts.originBytes).toBeGreaterThan(0);
    await expectWhole(engines);
    expect(total(engines, (counts) => counts.committedBytes)).toBe(body.length);
  });

  test('a restarted replica reads from the cachestore what others filled', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes((8 * MIB) / 8);
    engines.origin.put('far-models', 'a', body);
    await readAll(engines.replicas[0]!.engine, readRequest('a'));
    await expectWhole(engines);
    for (const { engine } of engines.replicas) engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    for (const { engine } of engines.replicas) {
      const { bytes } = await readAll(engine, readRequest('a'));
      expect(bytes.equals(body)).toBe(true);
    }
    expect(engines.origin.counts.bytes).toBe(body.length);
  });

  test('when the coordinator is dead the runner-up fills, still once', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes((32 * MIB) / 8);
    engines.origin.put('far-models', 'a', body);
    engines.replicas[2]!.dead = true;
    const reads = [0, 1, 0, 1].map((i) => readAll(engines.replicas[i]!.engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBe(body.length);
    await expectWhole(engines);
  });

  test('a coordinator that dies in the middle of a stream loses nobody a byte', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: 4 * MIB, readahead: 0 });
    const body = patternBytes(24 * MIB);
    engines.origin.put('far-models', 'a', body);
    const result = await engines.replicas[0]!.engine.read(readRequest('a'));
    const reading = collect(result);
    engines.replicas[1]!.dead = true;
    engines.replicas[2]!.dead = true;
    expect((await reading).equals(body)).toBe(true);
  });

  test('a stream that falls silent is asked for again from where it stopped, of the same replica', async () => {
    const engines = openEngines({ replicas: 2, chunkBytes: 4 * MIB, readahead: 0 });
    const body = patternBytes(16 * MIB);
    engines.origin.put('far-models', 'a', body);
    const [a, b] = engines.replicas;
    b!.stalls = 2;
    const { bytes } = await readAll(a!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    expect(b!.stalls).toBe(0);
    expect(engines.origin.counts.bytes).toBe(body.length);
    await expectWhole(engines);
  });

  test('replicas that disagree get 409 and fill locally, with right bytes', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes((24 * MIB) / 8);
    engines.origin.put('far-models', 'a', body);
    const [a, b, c] = engines.replicas;
    // Each believes that one other, which does not exist, owns part of the chunks.
    const ghost = '10.0.0.99:8444' as PeerAddress;
    b!.view = peerSet(b!.address, [b!.address, ghost]);
    c!.view = peerSet(c!.address, [c!.address, ghost]);
    const { bytes } = await readAll(a!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    expect(Object.keys(a!.counts.fallThroughs).some((name) => name.endsWith('/not_coordinator'))).toBe(true);
    await expectWhole(engines);
  });

  test('"stored", then a 404 of our own, then once more: the coordinator looks itself and fills', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes((16 * MIB) / 8);
    const head = engines.origin.put('far-models', 'a', body);
    await readAll(engines.replicas[0]!.engine, readRequest('a'));
    await expectWhole(engines);
    for (const { engine } of engines.replicas) engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    for (const path of engines.store.paths()) engines.store.vanish(path);
    const { bytes } = await readAll(engines.replicas[1]!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBe(2 * body.length);
    const object = { originId: 'test', bucket: 'far-models', key: 'a', etag: head.etag, sizeBytes: body.length };
    await expectWhole(engines);
    expect(engines.store.paths()).toContain(chunkAt(object, MIB / 8, 0).path);
  });
});

/** Everything out of memory: what is read next comes from the cachestore. */
function forgetMemory(engines: Engines): void {
  for (const { engine } of engines.replicas) engine.memoryTier.evict(Number.POSITIVE_INFINITY);
}

describe('three replicas and a cachestore that fails one of them', () => {
  async function warm() {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes(2 * MIB);
    engines.origin.put('far-models', 'a', body);
    await readAll(engines.replicas[0]!.engine, readRequest('a'));
    await expectWhole(engines);
    forgetMemory(engines);
    return { engines, body };
  }

  test('a bad chunk is repaired by its coordinator alone, once, whoever finds it', async () => {
    const { engines, body } = await warm();
    const path = engines.store.paths()[0]!;
    engines.store.flip(path, 1_000);
    const reads = engines.replicas.map(({ engine }) => readAll(engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    await expectWhole(engines);
    expect(engines.origin.counts.bytes).toBe(body.length + MIB / 8);
    expect(engines.store.counts.commits).toBe(17);
  });

  test('a chunk that is bad again right after its repair is served from memory and not written again', async () => {
    const { engines, body } = await warm();
    const path = engines.store.paths()[0]!;
    for (let round = 0; round < 3; round++) {
      engines.store.flip(path, 1_000);
      for (const { engine } of engines.replicas) {
        const { bytes } = await readAll(engine, readRequest('a'));
        expect(bytes.equals(body)).toBe(true);
      }
      await expectWhole(engines);
      forgetMemory(engines);
    }
    expect(engines.store.counts.commits).toBe(17);
  });

  test('who can not read the cachestore gets the bytes through the coordinator, not from the origin', async () => {
    const { engines, body } = await warm();
    const denied = new OrcaError('store_unavailable', 'denied to one', { status: 403 });
    const { engine, counts } = engines.replicas[1]!;
    const before = counts.originBytes;
    // Every read of this replica's fails; a replica that coordinates a chunk itself has nobody else to ask.
    engines.replicas[1]!.storeError = denied;
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    const own = counts.originBytes - before;
    expect(engines.origin.counts.bytes - body.length).toBe(own);
    expect(own).toBeLessThan(body.length);
  });
});

test('a replica that drains is asked for what it has in flight, and for nothing else', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8, readahead: 0 });
  const body = patternBytes(2 * MIB);
  engines.origin.put('far-models', 'a', body);
  const [a, b, c] = engines.replicas;
  engines.store.commitGate.hold();
  await readAll(c!.engine, readRequest('a'));
  const before = engines.origin.counts.bytes;
  expect(before).toBe(body.length);
  const owners = [a!.address, b!.address];
  for (const replica of [a!, b!]) replica.view = { ...peerSet(replica.address, owners), terminating: [c!.address] };
  c!.view = { ...peerSet(c!.address, owners), terminating: [c!.address] };
  const { bytes } = await readAll(a!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(before);
  engines.store.commitGate.release();
  await expectWhole(engines);
});

describe('memory', () => {
  test('a budget that is taken answers overloaded instead of growing', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 4 * MIB, chunkBytes: MIB, readahead: 0, clock });
    for (let i = 0; i < 6; i++) engines.origin.put('far-models', `o${i}`, patternBytes(MIB, i));
    const { engine } = engines.replicas[0]!;
    engines.store.commitGate.hold();
    for (let i = 0; i < 3; i++) await readAll(engine, readRequest(`o${i}`));
    expect(engine.memory.usedBytes).toBeLessThanOrEqual(4 * MIB);
    const refused = engine.read(readRequest('o4'));
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    engines.store.commitGate.release();
    const { bytes } = await readAll(engine, readRequest('o5'));
    expect(bytes.equals(patternBytes(MIB, 5))).toBe(true);
    await expectWhole(engines);
  });

  test('a commit that ends lets in who waits for the memory that it held', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 4 * MIB, chunkBytes: MIB, readahead: 0, clock });
    for (let i = 0; i < 4; i++) engines.origin.put('far-models', `o${i}`, patternBytes(MIB, i));
    const { engine } = engines.replicas[0]!;
    engines.store.commitGate.hold();
    for (let i = 0; i < 3; i++) await readAll(engine, readRequest(`o${i}`));
    const waiting = readAll(engine, readRequest('o3'));
    await clock.advance(1_000);
    expect(engine.memory.waiting('new')).toBe(1);
    engines.store.commitGate.release();
    await clock.advance(1);
    expect(engine.memory.waiting('new')).toBe(0);
    expect((await waiting).bytes.equals(patternBytes(MIB, 3))).toBe(true);
    await expectWhole(engines);
  });

  test('under pressure each response is right or refused before it began, and nothing leaks', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 8 * MIB, chunkBytes: 2 * MIB, readahead: 4, clock });
    const bodies = Array.from({ length: 20 }, (_, i) => patternBytes(3 * MIB, i));
    for (const [i, body] of bodies.entries()) engines.origin.put('far-models', `o${i}`, body);
    const { engine } = engines.replicas[0]!;
    const reads = Promise.allSettled(bodies.map((_, i) => readAll(engine, readRequest(`o${i}`))));
    const ended = await whileTimePasses(clock, reads);
    for (const [i, outcome] of ended.entries()) {
      if (outcome.status === 'fulfilled') expect(outcome.value.bytes.equals(bodies[i]!)).toBe(true);
      else expect((outcome.reason as OrcaError).code).toBe('overloaded');
    }
    expect(ended.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(3);
    await expectWhole(engines);
  });
});

test('a breaker that finds out whether the origin is well lets a fill of several parts through, one after the other', async () => {
  const clock = fakeClock();
  const engines = openEngines({ clock, chunkBytes: 16 * MIB, readahead: 0 });
  const { engine } = engines.replicas[0]!;
  const body = patternBytes(12 * MIB);
  engines.origin.put('far-models', 'a', body);
  await whileTimePasses(clock, engine.read(readRequest('a', { headOnly: true })));
  const away = new OrcaError('origin_unavailable', 'away');
  engines.origin.inject({ on: 'read', what: away, times: 10 });
  for (let attempt = 0; attempt < 5; attempt++)
    await whileTimePasses(clock, readAll(engine, readRequest('a'))).catch((error: unknown) => error);
  expect(engine.origin.breakers.get('far-models')?.state).toBe('open');
  engines.origin.readGate.hold();
  await clock.advance(6_000);

  // The probe takes so long that its neighbour is refused whenever it asks again.
  const reading = readAll(engine, readRequest('a'));
  reading.catch(() => {});
  await engines.origin.readGate.reached(1);
  await clock.advance(4_000);
  engines.origin.readGate.release();
  expect((await whileTimePasses(clock, reading)).bytes.equals(body)).toBe(true);
  await expectWhole(engines);
});

test('an archived object says what it is stored as, whoever was asked to fill it', async () => {
  const engines = openEngines({ replicas: 2 });
  engines.origin.put('far-models', 'a', patternBytes(100), { headers: { 'x-amz-storage-class': 'GLACIER' } });
  for (const { engine } of engines.replicas) {
    engines.origin.inject({ on: 'read', what: new OrcaError('object_archived', 'archived') });
    await expect(readAll(engine, readRequest('a'))).rejects.toMatchObject({
      code: 'object_archived',
      fields: { StorageClass: 'GLACIER' },
    });
  }
  await expectWhole(engines);
});
