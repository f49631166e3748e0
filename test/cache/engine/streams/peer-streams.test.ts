import { describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import type { ChunkRead } from '#cache/engine/fetch/context.ts';
import { PeerStreams } from '#cache/engine/streams/peer-streams.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { FillRequest, PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import type { ReadRequest } from '#cache/engine/read.ts';
import { copyInto } from '#cache/wire/http1/sink.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  collect,
  countingObserver,
  emptyCounts,
  MIB,
  openEngines,
  patternBytes,
  peerSet,
  readAll,
  readRequest,
  whileTimePasses,
  type Engines,
  type Replica,
} from '#test/support/engines.ts';

/** No stream is open, and nothing is leased but what the memory tier keeps. */
async function expectNothingHeld(engines: Engines): Promise<void> {
  for (const { engine } of engines.replicas) {
    await engine.idle();
    expect({ streams: engine.peerStreams.count, readers: engine.peerStreams.readers }).toEqual({
      streams: 0,
      readers: 0,
    });
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  }
}

async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Two replicas, and an object of one chunk that the second coordinates: the first has it all from there. */
function twoReplicas(chunkBytes: number, options: Parameters<typeof openEngines>[0] = {}) {
  const engines = openEngines({ replicas: 2, chunkBytes, readahead: 0, ...options });
  const [reader, owner] = engines.replicas as [Replica, Replica];
  // Whatever the hash says: this one is in charge, and both know.
  reader.view = { ...peerSet(reader.address, [owner.address]), self: reader.address };
  owner.view = peerSet(owner.address, [owner.address]);
  const body = patternBytes(chunkBytes);
  engines.origin.put('far-models', 'a', body);
  return { engines, reader, owner, body };
}

/** Reads it all and compares it where it lies, before and after the event loop has turned; nothing is copied. */
async function isRight({ engine }: Replica, body: Buffer, more: Partial<ReadRequest> = {}): Promise<boolean> {
  const { range, body: pieces } = await engine.read(readRequest('a', more));
  let at = range.from;
  let right = true;
  for await (const piece of pieces) {
    const { bytes } = piece;
    const expected = body.subarray(at, at + bytes.length);
    right &&= expected.equals(bytes);
    await new Promise((resolve) => setImmediate(resolve));
    right &&= expected.equals(bytes);
    at += bytes.length;
    piece.release();
  }
  return right && at === range.to;
}

/** Hundreds of readers, on a busy machine. */
const CROWD_MS = 60_000;

const ALL_RIGHT = new Set([true]);

describe('a crowd', () => {
  test(
    'of fifty at each of three replicas reads each chunk once from the origin and once from its coordinator',
    { timeout: CROWD_MS },
    async () => {
      const engines = openEngines({ replicas: 3, chunkBytes: MIB / 32 });
      const body = patternBytes(2 * MIB);
      engines.origin.put('far-models', 'a', body);
      const reads = engines.replicas.flatMap((replica) => Array.from({ length: 50 }, () => isRight(replica, body)));
      expect(new Set(await Promise.all(reads))).toEqual(ALL_RIGHT);
      expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 64, bytes: body.length });
      // Each replica has of the others what it does not coordinate itself.
      const peerBytes = engines.replicas.reduce((sum, replica) => sum + replica.peerBytes, 0);
      expect(peerBytes).toBe(2 * body.length);
      for (const { peerBytes: own } of engines.replicas) expect(own).toBeLessThan(body.length);
      expect(engines.replicas.reduce((sum, { fillCalls }) => sum + fillCalls, 0)).toBe(2 * 64);
      await expectNothingHeld(engines);
    },
  );

  test('costs a stream’s memory once, however many read along', async () => {
    const { engines, reader, body } = twoReplicas(5 * MIB, { budgetBytes: 20 * MIB });
    engines.origin.readGate.hold();
    const reads = Array.from({ length: 100 }, () => isRight(reader, body));
    await turns();
    expect({ streams: reader.engine.peerStreams.count, readers: reader.engine.peerStreams.readers }).toEqual({
      streams: 1,
      readers: 100,
    });
    expect(reader.engine.memory.usedBytes).toBe(4 * MIB);
    engines.origin.readGate.release();
    expect(new Set(await Promise.all(reads))).toEqual(ALL_RIGHT);
    expect(reader.peerBytes).toBe(body.length);
    await expectNothingHeld(engines);
  });

  test('of different ranges shares what lies in one stream', async () => {
    const { engines, reader, owner, body } = twoReplicas(4 * MIB);
    const whole = readAll(reader.engine, readRequest('a'));
    const ranges = [
      [0, 100],
      [1_000, 2 * MIB],
      [MIB, 4 * MIB],
    ] as const;
    const parts = ranges.map(([from, to]) =>
      readAll(reader.engine, readRequest('a', { range: `bytes=${from}-${to - 1}` })),
    );
    expect((await whole).bytes.equals(body)).toBe(true);
    for (const [i, [from, to]] of ranges.entries())
      expect((await parts[i]!).bytes.equals(body.subarray(from, to))).toBe(true);
    expect(owner.fillCalls).toBe(1);
    await expectNothingHeld(engines);
  });
});

describe('readers of different pace', () => {
  /** Takes a first piece and no more for now. */
  async function begin({ engine }: Replica): Promise<{ readonly rest: () => Promise<Buffer> }> {
    const result = await engine.read(readRequest('a'));
    const first = await result.body.next();
    if (first.done === true) throw new Error('no first piece');
    const bytes = Buffer.from(first.value.bytes);
    return {
      rest: async () => {
        expect(Buffer.from(first.value.bytes).equals(bytes)).toBe(true);
        first.value.release();
        return Buffer.concat([bytes, await collect(result)]);
      },
    };
  }

  test('one that stops does not hinder the others, and goes on from the cachestore when it is left behind', async () => {
    const { engines, reader, owner, body } = twoReplicas(12 * MIB, { budgetBytes: 48 * MIB });
    const slow = await begin(reader);
    const fast = Array.from({ length: 3 }, () => isRight(reader, body));
    expect(new Set(await Promise.all(fast))).toEqual(ALL_RIGHT);
    await owner.engine.idle();
    const { reads } = engines.store.counts;
    const { peerBytes } = reader;
    expect((await slow.rest()).equals(body)).toBe(true);
    expect(reader.counts.fallThroughs['left_behind/committed']).toBeGreaterThan(0);
    expect(engines.store.counts.reads).toBe(reads + 1);
    expect(reader.peerBytes).toBe(peerBytes);
    expect(engines.origin.counts.bytes).toBe(body.length);
    await expectNothingHeld(engines);
  });

  test('until it is committed, one that is left behind has a stream of its own', async () => {
    const { engines, reader, body } = twoReplicas(12 * MIB, { budgetBytes: 48 * MIB });
    engines.store.commitGate.hold();
    const slow = await begin(reader);
    expect((await readAll(reader.engine, readRequest('a'))).bytes.equals(body)).toBe(true);
    expect((await slow.rest()).equals(body)).toBe(true);
    expect(reader.counts.fallThroughs).toMatchObject({ 'left_behind/own_stream': 1 });
    expect(engines.origin.counts.bytes).toBe(body.length);
    engines.store.commitGate.release();
    await expectNothingHeld(engines);
  });
});

describe('those left behind, while their chunk is not committed', () => {
  /** An object of one large chunk, and a peer that is asked for it and does not answer. */
  function openPeerStream(fill?: PeerClient['fill']) {
    const clock = fakeClock();
    const memory = new ChunkMemory({ budgetBytes: 256 * MIB, clock, poison: true });
    const store = fakeChunkStore();
    const counts = emptyCounts();
    const asked: FillRequest[] = [];
    const self = '10.0.0.1:8444' as PeerAddress;
    const peer = '10.0.0.2:8444' as PeerAddress;
    const peerClient: PeerClient = {
      fill: (to, request, sink, options) => {
        asked.push(request);
        const { signal } = options;
        return (
          fill?.(to, request, sink, options) ??
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          })
        );
      },
      head: () => Promise.reject(new Error('not asked')),
      invalidate: () => Promise.reject(new Error('not asked')),
      close: async () => {},
    };
    const view = peerSet(self, [self, peer]);
    const inbound = new PeerStreams({
      memory,
      clock,
      store,
      peerClient,
      catalog: new Catalog(100),
      observer: countingObserver(counts),
      peers: {
        current: () => view,
        onChange: () => () => {},
        ready: async () => {},
        staleMs: () => 0,
        close: async () => {},
      },
    });
    const object = { originId: 'test', bucket: 'far-models', key: 'a', etag: 'e', sizeBytes: 64 * MIB };
    const chunk = chunkAt(object, 64 * MIB, 0);
    /** Each so far before the one before that they can't share. */
    const fallBehind = async (index: number, demand: ChunkRead['demand'] = 'started') => {
      const range = { from: (60 - 3 * index) * MIB, to: 64 * MIB };
      const read = { chunk, range, demand, signal: new AbortController().signal, requestId: 'test' };
      const joined = await inbound.join({ chunk, peer, rank: 1, reason: 'miss' }, range, read, true);
      if (joined === 'committed') throw new Error('the chunk is not committed');
      return joined;
    };
    const sixteen = () => Promise.all(Array.from({ length: 16 }, (_, index) => fallBehind(index)));
    const next = (demand: ChunkRead['demand']) => {
      const range = { from: 0, to: 64 * MIB };
      const read = { chunk, range, demand, signal: new AbortController().signal, requestId: 'test' };
      return inbound.join({ chunk, peer, rank: 1, reason: 'miss' }, range, read, true);
    };
    return { clock, memory, store, inbound, asked, chunk, peer, sixteen, next };
  }

  test('sixteen have a stream of their own, and the next one waits until it is', async () => {
    const { clock, store, inbound, asked, chunk, sixteen, next } = openPeerStream();
    const readers = await sixteen();
    const waiting = next('started');
    await clock.advance(10_000);
    expect(asked).toHaveLength(16);
    store.plant(chunk, patternBytes(chunk.lengthBytes), undefined);
    expect(await whileTimePasses(clock, waiting)).toBe('committed');
    for (const reader of readers) reader.close();
    expect(inbound.count).toBe(0);
  });

  test('who waits takes the place of one that leaves', async () => {
    const { clock, memory, asked, sixteen, next } = openPeerStream();
    const readers = await sixteen();
    const waiting = next('started');
    await clock.advance(1_000);
    readers[3]!.close();
    const late = await whileTimePasses(clock, waiting);
    expect(asked).toHaveLength(17);
    for (const reader of [...readers, late]) if (reader !== 'committed') reader.close();
    expect(memory.usedBytes).toBe(0);
  });

  test.for([
    ['a response that has begun waits a minute', 'started', 60_000],
    ['a new request waits five seconds', 'new', 5_000],
    ['what is read ahead does not wait', 'ahead', 0],
  ] as const)('%s', async ([, demand, limitMs]) => {
    const { clock, sixteen, next } = openPeerStream();
    const readers = await sixteen();
    const sinceMs = clock.now();
    const refused = next(demand);
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded' });
    expect(clock.now() - sinceMs).toBeLessThanOrEqual(limitMs + 1_000);
    expect(clock.now() - sinceMs).toBeGreaterThanOrEqual(limitMs);
    for (const reader of readers) reader.close();
    expect(clock.pending()).toBe(0);
  });

  test('a stream that falls silent is asked for again in the class of a reader that has started', async () => {
    const silent = Promise.withResolvers<never>();
    const { inbound, asked, chunk, peer } = openPeerStream(async (_to, { range }, sink, { signal }) => {
      await copyInto(sink, patternBytes(100_000), signal);
      if (range.from === 0) await silent.promise;
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    });
    const range = { from: 0, to: chunk.lengthBytes };
    const read: ChunkRead = { chunk, range, demand: 'new', signal: new AbortController().signal, requestId: 'test' };
    const reader = await inbound.join({ chunk, peer, rank: 1, reason: 'miss' }, range, read, false);
    if (reader === 'committed') throw new Error('the chunk is not committed');
    (await reader.next())?.release();
    read.demand = 'started';
    silent.reject(new OrcaError('peer_unavailable', 'silent', { details: 'stall' }));
    await turns(3);
    expect(asked.map(({ demand, range: { from } }) => ({ demand, from }))).toEqual([
      { demand: 'new', from: 0 },
      { demand: 'started', from: 100_000 },
    ]);
    reader.close();
    expect(inbound.count).toBe(0);
  });

  test('the cachestore is asked once for all who want to know', async () => {
    const { clock, store, chunk, sixteen, next } = openPeerStream();
    const readers = await sixteen();
    const asked = store.counts.has;
    expect(asked).toBe(1);
    const waiting = Array.from({ length: 50 }, () => next('started'));
    await clock.advance(1_000);
    expect(store.counts.has).toBeLessThanOrEqual(asked + 5);
    store.plant(chunk, patternBytes(chunk.lengthBytes), undefined);
    for (const outcome of await whileTimePasses(clock, Promise.all(waiting))) expect(outcome).toBe('committed');
    for (const reader of readers) reader.close();
  });
});

describe('readers that leave', () => {
  test('end nothing for the others', async () => {
    const { engines, reader, owner, body } = twoReplicas(4 * MIB);
    engines.origin.readGate.hold();
    const gone = new AbortController();
    const first = Promise.allSettled([readAll(reader.engine, readRequest('a', { signal: gone.signal }))]);
    const others = Array.from({ length: 3 }, () => readAll(reader.engine, readRequest('a')));
    await turns();
    // The one that began the stream.
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    expect(await first).toMatchObject([{ status: 'rejected', reason: { code: 'cancelled' } }]);
    expect(reader.engine.peerStreams.readers).toBe(3);
    engines.origin.readGate.release();
    for (const { bytes } of await Promise.all(others)) expect(bytes.equals(body)).toBe(true);
    expect(owner.fillCalls).toBe(1);
    await expectNothingHeld(engines);
  });

  test('close the stream at once when they were the last', async () => {
    const { engines, reader, owner } = twoReplicas(4 * MIB);
    engines.origin.readGate.hold();
    const gone = new AbortController();
    const reads = Promise.allSettled(
      Array.from({ length: 3 }, () => readAll(reader.engine, readRequest('a', { signal: gone.signal }))),
    );
    await turns();
    expect(owner.engine.flights.count).toBe(1);
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    await turns();
    expect(reader.engine.peerStreams.count).toBe(0);
    expect(reader.engine.memory.usedBytes).toBe(0);
    for (const { status } of await reads) expect(status).toBe('rejected');
    engines.origin.readGate.release();
    await expectNothingHeld(engines);
  });
});

describe('a stream that breaks', () => {
  test('and falls silent is asked for again once, for all', async () => {
    const { engines, reader, owner, body } = twoReplicas(4 * MIB);
    owner.stalls = 2;
    const reads = Array.from({ length: 20 }, () => isRight(reader, body));
    expect(new Set(await Promise.all(reads))).toEqual(ALL_RIGHT);
    expect(owner.fillCalls).toBe(3);
    expect(reader.counts.fallThroughs).toEqual({ 'peer_stall/asked_again': 2 });
    expect(reader.peerBytes).toBe(body.length);
    await expectNothingHeld(engines);
  });

  test('with its replica is gone on with on the next rung, each reader from its offset', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: 2 * MIB, readahead: 0 });
    const body = patternBytes(8 * MIB);
    engines.origin.put('far-models', 'a', body);
    const [a, b, c] = engines.replicas;
    const reads = Array.from({ length: 20 }, () => isRight(a!, body));
    await turns(10);
    b!.dead = true;
    c!.dead = true;
    expect(new Set(await Promise.all(reads))).toEqual(ALL_RIGHT);
    await expectNothingHeld(engines);
  });
});

describe('replicas that change their views against each other', () => {
  test('end every read with right bytes, and hang none', { timeout: CROWD_MS }, async () => {
    const clock = fakeClock();
    const engines = openEngines({ replicas: 2, chunkBytes: MIB / 16, clock });
    const [a, b] = engines.replicas as [Replica, Replica];
    const body = patternBytes(2 * MIB);
    const views = (replica: Replica, owner: PeerAddress) => ({
      ...peerSet(replica.address, [owner]),
      self: replica.address,
    });
    for (let i = 0; i < 4; i++) engines.origin.put('far-models', `o${i}`, body);
    let isOver = false;
    // Each believes the other in charge, then itself, then both the same: over and over, while they read.
    const changing = (async () => {
      for (let turn = 0; !isOver; turn++) {
        a.view = views(a, turn % 2 === 0 ? b.address : a.address);
        b.view = views(b, turn % 3 === 0 ? a.address : b.address);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const reads = [a, b].flatMap(({ engine }) =>
      Array.from({ length: 12 }, (_, i) => readAll(engine, readRequest(`o${i % 4}`))),
    );
    for (const { bytes } of await whileTimePasses(clock, Promise.all(reads))) expect(bytes.equals(body)).toBe(true);
    isOver = true;
    await changing;
    await expectNothingHeld(engines);
  });

  test('so that each asks the other for the same chunk fill it themselves', async () => {
    const clock = fakeClock();
    const engines = openEngines({ replicas: 2, chunkBytes: MIB, clock });
    const [a, b] = engines.replicas as [Replica, Replica];
    a.view = { ...peerSet(a.address, [b.address]), self: a.address };
    b.view = { ...peerSet(b.address, [a.address]), self: b.address };
    const body = patternBytes(4 * MIB);
    engines.origin.put('far-models', 'a', body);
    const reads = [a, b, a, b].map(({ engine }) => readAll(engine, readRequest('a')));
    for (const { bytes } of await whileTimePasses(clock, Promise.all(reads))) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBeLessThanOrEqual(2 * body.length);
    await expectNothingHeld(engines);
  });
});

describe('where the bytes come from', () => {
  test('is said of another replica’s fill, its memory and its cachestore', async () => {
    const { engines, reader, owner } = twoReplicas(MIB);
    const source = async () => (await readAll(reader.engine, readRequest('a'))).result.source;
    expect(await source()).toBe('peer_fill');
    await owner.engine.idle();
    expect(await source()).toBe('peer');
    owner.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    reader.storeError = new OrcaError('store_unavailable', 'denied to one', { status: 403 });
    expect(await source()).toBe('peer');
    reader.storeError = undefined;
    expect(await source()).toBe('store');
    await expectNothingHeld(engines);
  });
});

test('replicas of an old and a new configuration each serve right bytes, and fetch each chunk of each size once', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: [MIB, 2 * MIB, 2 * MIB], readahead: 2 });
  const body = patternBytes(5 * MIB);
  engines.origin.put('far-models', 'a', body);
  const reads = engines.replicas.flatMap(({ engine }) => [1, 2].map(() => readAll(engine, readRequest('a'))));
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(2 * body.length);
  await expectNothingHeld(engines);
  expect(engines.store.paths()).toHaveLength(5 + 3);
  expect(engines.store.counts.won).toBe(5 + 3);
});
