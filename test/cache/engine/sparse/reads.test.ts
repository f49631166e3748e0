import { describe, expect, test } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { cancelledBy, copyInto } from '#cache/wire/http1/sink.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  whileTimePasses,
  type Engines,
  type EnginesOptions,
  type Replica,
} from '#test/support/engines.ts';

const KIB = 1024;
const GIB = 1024 * MIB;
/** For what moves many MiB, on a busy machine. */
const LONG_MS = 60_000;
const BLOCK = 64 * KIB;
/** Objects from 4 MiB on have chunks of 4 MiB: 64 blocks, an eighth of which is 8. */
const CHUNK = 4 * MIB;
const TIERS = [{ minObjectSizeBytes: CHUNK, chunkSizeBytes: CHUNK }];

interface Opened extends Engines {
  readonly body: Buffer;
  /** Best first; the first coordinates chunk 0. */
  readonly ranked: readonly Replica[];
  readonly chunk: Chunk;
}

function open(options: EnginesOptions & { readonly sizeBytes?: number } = {}): Opened {
  const engines = openEngines({ tiers: TIERS, ...options });
  const body = patternBytes(options.sizeBytes ?? 2 * CHUNK);
  const { etag, sizeBytes } = engines.origin.put('far-models', 'a', body);
  const chunk = chunkAt({ originId: 'test', bucket: 'far-models', key: 'a', etag, sizeBytes }, CHUNK, 0);
  const addresses = engines.replicas.map(({ address }) => address);
  const ranked = rankPeers(chunk.path, addresses).map((address) => engines.replicas[addresses.indexOf(address)]!);
  return { ...engines, body, ranked, chunk };
}

function rangeRequest(from: number, length: number, signal = new AbortController().signal) {
  return readRequest('a', { range: `bytes=${from}-${from + length - 1}`, signal });
}

async function expectRead({ body }: Opened, replica: Replica, from: number, length = 4 * KIB) {
  const { bytes, result } = await readAll(replica.engine, rangeRequest(from, length));
  expect(bytes.equals(body.subarray(from, from + length))).toBe(true);
  return result;
}

async function idle(engines: Engines): Promise<void> {
  for (const { engine } of engines.replicas) await engine.idle();
}

/** Nothing runs, and nothing is leased but what the memory tier keeps. */
async function expectWhole(engines: Engines): Promise<void> {
  await idle(engines);
  for (const { engine } of engines.replicas) {
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    expect(engine.memory.usedBytes).toBe(0);
  }
}

function total(engines: Engines, record: 'sparseReads' | 'sparseBytes', name: string): number {
  return engines.replicas.reduce((sum, { counts }) => sum + (counts[record][name] ?? 0), 0);
}

/** An object of 10 GiB that is nowhere: its bytes repeat with a period that is no block's. */
function tenGib() {
  const period = patternBytes(1_000_003);
  const sizeBytes = 10 * GIB;
  const etag = 'ten-gib';
  const reads: { from: number; to: number }[] = [];
  const twice = Buffer.concat([period, period]);
  const bytesAt = (from: number, length: number): Buffer => {
    const start = from % period.length;
    if (start + length <= twice.length) return twice.subarray(start, start + length);
    const copies = Array.from({ length: Math.ceil((start + length) / period.length) }, () => period);
    return Buffer.concat(copies).subarray(start, start + length);
  };
  const originSeen = (origin: Origin): Origin => ({
    ...origin,
    head: async () => ({ etag, sizeBytes, lastModifiedMs: 0, headers: {} }),
    async read(object, range, sink, { signal }) {
      expect(object.etag).toBe(etag);
      reads.push(range);
      for (let at = range.from; at < range.to;) {
        if (signal.aborted) throw cancelledBy(signal);
        const bytes = bytesAt(at, Math.min(MIB / 2, range.to - at));
        await copyInto(sink, bytes, signal);
        at += bytes.length;
      }
    },
  });
  const tiers = [{ minObjectSizeBytes: 10 * GIB, chunkSizeBytes: 128 * MIB }];
  const readBytes = () => reads.reduce((sum, { from, to }) => sum + to - from, 0);
  return { options: { originSeen, tiers, chunkBytes: 8 * MIB }, sizeBytes, reads, readBytes, bytesAt };
}

describe('a cold object of 10 GiB', () => {
  test('a read of 4 KiB takes 64 KiB from the origin, on each of three replicas, and is not stored', async () => {
    const big = tenGib();
    const engines = openEngines({ replicas: 3, ...big.options });
    for (const [number, { engine }] of engines.replicas.entries()) {
      const from = big.sizeBytes - 4 * KIB - number * 512 * MIB;
      const { bytes, result } = await readAll(engine, rangeRequest(from, 4 * KIB));
      expect(bytes.equals(big.bytesAt(from, 4 * KIB))).toBe(true);
      expect(result.status).toBe(206);
      expect(big.reads).toHaveLength(number + 1);
      expect(big.readBytes()).toBe((number + 1) * BLOCK);
    }
    expect(total(engines, 'sparseBytes', 'excess')).toBe(3 * 60 * KIB);
    await expectWhole(engines);
    expect(engines.store.paths()).toEqual([]);
  });

  test('1 000 random reads of 4 KiB do not fill it', { timeout: LONG_MS }, async () => {
    const big = tenGib();
    const engines = openEngines({ replicas: 3, budgetBytes: 600 * MIB, ...big.options });
    // Linear congruential: the same on every run. Of 163 840 blocks one is met twice.
    let state = 102_947;
    const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
    for (let number = 0; number < 1_000; number++) {
      const from = Math.floor((random() * big.sizeBytes) / (4 * KIB)) * 4 * KIB;
      const { bytes } = await readAll(engines.replicas[number % 3]!.engine, rangeRequest(from, 4 * KIB));
      expect(bytes.equals(big.bytesAt(from, 4 * KIB))).toBe(true);
    }
    await idle(engines);
    expect(engines.store.paths()).toHaveLength(1);
    expect(big.readBytes()).toBeLessThanOrEqual(1_000 * BLOCK + 128 * MIB);
    await expectWhole(engines);
  });

  test(
    'a download in ranges of 8 MiB: no byte is asked for twice, though the first two ranges were sparse',
    { timeout: LONG_MS },
    async () => {
      const big = tenGib();
      const engines = openEngines({ replicas: 3, budgetBytes: 600 * MIB, ...big.options });
      const length = 8 * MIB;
      const ranges = Array.from({ length: 16 }, async (_, i) => {
        const { bytes } = await readAll(engines.replicas[i % 3]!.engine, rangeRequest(i * length, length));
        expect(bytes.equals(big.bytesAt(i * length, length))).toBe(true);
      });
      await Promise.all(ranges);
      await idle(engines);
      expect(total(engines, 'sparseReads', 'origin')).toBe(2);
      expect(big.readBytes()).toBe(128 * MIB);
      expect(engines.store.paths()).toHaveLength(1);
      await expectWhole(engines);
    },
  );
});

describe('a crowd', () => {
  test('100 clients at once on one footer, over three replicas, cost one origin read', async () => {
    const engines = open({ replicas: 3, sizeBytes: 2 * CHUNK - 1_000 });
    const from = engines.body.length - 4 * KIB;
    engines.origin.readGate.hold();
    const reads = Array.from({ length: 100 }, (_, i) => expectRead(engines, engines.replicas[i % 3]!, from));
    await engines.origin.readGate.reached();
    engines.origin.readGate.release();
    await Promise.all(reads);
    await idle(engines);
    expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 1, bytes: BLOCK - 1_000 });
    expect(engines.store.paths()).toEqual([]);
    expect(total(engines, 'sparseReads', 'origin')).toBe(1);
    await expectWhole(engines);
  });

  test('who asked before the read was done and comes to it late is no second touch', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    engines.store.readGate.hold();
    const reads = Array.from({ length: 10 }, () => expectRead(engines, replica!, 0));
    await engines.store.readGate.reached(10);
    engines.store.readGate.release();
    await Promise.all(reads);
    await idle(engines);
    expect(engines.origin.counts).toMatchObject({ reads: 1, bytes: BLOCK });
  });

  test('the last of a crowd, who comes when the first have been answered, fills nothing; who comes later does', async () => {
    const clock = fakeClock();
    const engines = open({ replicas: 3, clock });
    const read = (replica: number) => whileTimePasses(clock, expectRead(engines, engines.replicas[replica]!, 0));
    engines.origin.readGate.hold();
    const reads = [0, 1, 2].map((replica) => expectRead(engines, engines.replicas[replica]!, 0));
    await engines.origin.readGate.reached();
    await clock.advance(0);
    engines.origin.readGate.release();
    await Promise.all(reads);
    await expectRead(engines, engines.replicas[1]!, 0);
    await whileTimePasses(clock, idle(engines));
    expect(engines.origin.counts).toMatchObject({ reads: 1, bytes: BLOCK });
    await clock.advance(1_000);
    await read(2);
    await whileTimePasses(clock, idle(engines));
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await whileTimePasses(clock, expectWhole(engines));
  });

  test('ranges that overlap share the blocks that they have in common', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    engines.origin.readGate.hold();
    const first = expectRead(engines, replica!, 0, 3 * BLOCK);
    await engines.origin.readGate.reached();
    const second = expectRead(engines, replica!, BLOCK + 7, 4 * BLOCK);
    await engines.origin.readGate.reached(2);
    engines.origin.readGate.release();
    await Promise.all([first, second]);
    expect(engines.origin.reads.map(({ range }) => range)).toEqual([
      { from: 0, to: 3 * BLOCK },
      { from: 3 * BLOCK, to: 6 * BLOCK },
    ]);
    await expectWhole(engines);
  });
});

describe('what fills the chunk', () => {
  test('the second touch of a block: it is served from memory, and the rest of the chunk is brought', async () => {
    const engines = open({ replicas: 3 });
    const [coordinator, other] = engines.ranked;
    await expectRead(engines, other!, 0);
    expect(engines.origin.counts.bytes).toBe(BLOCK);
    const again = await expectRead(engines, coordinator!, 8 * KIB);
    expect(again.source).toBe('memory');
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    // What the sparse read had brought is not asked for again.
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    expect(total(engines, 'sparseBytes', 'reused')).toBe(BLOCK);
    await expectRead(engines, other!, 2 * MIB);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    await expectWhole(engines);
  });

  test('what is here is served from there while the rest of the chunk is brought', async () => {
    const engines = open({ replicas: 2 });
    const [coordinator, other] = engines.ranked;
    await expectRead(engines, other!, 3 * MIB);
    engines.origin.readGate.hold();
    await expectRead(engines, other!, 3 * MIB);
    await engines.origin.readGate.reached();
    expect((await expectRead(engines, coordinator!, 3 * MIB)).source).toBe('memory');
    await expectRead(engines, other!, 3 * MIB);
    engines.origin.readGate.release();
    await expectWhole(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('the second touch through another replica', async () => {
    const engines = open({ replicas: 3 });
    const [, other, third] = engines.ranked;
    await expectRead(engines, other!, MIB);
    await expectRead(engines, third!, MIB + 4 * KIB);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await expectWhole(engines);
  });

  test('the second touch of a block that has left memory waits for the fill, and reads along', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    await expectRead(engines, replica!, 0);
    replica!.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    expect((await expectRead(engines, replica!, 0)).source).toBe('fill');
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    expect(replica!.counts.sparseReads).toEqual({ origin: 1, fill: 1 });
    await expectWhole(engines);
  });

  test('more than an eighth of its blocks', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    for (let block = 0; block < 8; block++) await expectRead(engines, replica!, block * 4 * BLOCK);
    expect(engines.origin.counts).toMatchObject({ reads: 8, bytes: 8 * BLOCK });
    expect(engines.store.paths()).toEqual([]);
    await expectRead(engines, replica!, 8 * 4 * BLOCK);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await expectWhole(engines);
  });

  test.for([0, 64, 3 * 1024])(
    'a whole read: what is here at KiB %i or at the end is not asked for again',
    async (atKib) => {
      const engines = open({ sizeBytes: CHUNK + MIB + 5 });
      const [replica] = engines.replicas;
      await expectRead(engines, replica!, CHUNK - 4 * KIB);
      await expectRead(engines, replica!, atKib * KIB);
      await expectRead(engines, replica!, CHUNK + MIB + 5 - 4 * KIB);
      const sparseBytes = engines.origin.counts.bytes;
      const { bytes } = await readAll(replica!.engine, readRequest('a'));
      expect(bytes.equals(engines.body)).toBe(true);
      await idle(engines);
      // What is in the middle of a part would cost one more request to leave out.
      const again = atKib === 0 ? 0 : BLOCK;
      expect(engines.origin.counts.bytes).toBe(engines.body.length + again);
      expect(total(engines, 'sparseBytes', 'reused')).toBe(sparseBytes - again);
      await expectWhole(engines);
    },
  );

  test('a fill that was proven worth it goes on without its asker', async () => {
    const clock = fakeClock();
    const engines = open({ clock });
    const [replica] = engines.replicas;
    await whileTimePasses(clock, expectRead(engines, replica!, 0));
    replica!.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    const gone = new AbortController();
    engines.origin.readGate.hold();
    const refused = replica!.engine.read(rangeRequest(0, 4 * KIB, gone.signal));
    refused.catch(() => {});
    await engines.origin.readGate.reached();
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    await expect(refused).rejects.toMatchObject({ code: 'cancelled' });
    await clock.advance(10_000);
    engines.origin.readGate.release();
    await whileTimePasses(clock, idle(engines));
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await whileTimePasses(clock, expectWhole(engines));
  });
});

describe('what is no sparse read', () => {
  test('anything of a chunk of the base size', async () => {
    const engines = open({ chunkBytes: CHUNK });
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('an eighth of a chunk', async () => {
    const engines = open();
    await expectRead(engines, engines.replicas[0]!, 0, CHUNK / 8);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('the tail of a longer read whose coordinator died', async () => {
    const engines = open({ replicas: 2, readahead: 0 });
    const [coordinator, other] = engines.ranked;
    engines.origin.readGate.hold();
    const result = other!.engine.read(rangeRequest(0, CHUNK));
    await engines.origin.readGate.reached();
    engines.origin.inject({ on: 'read', what: 'stall', afterBytes: CHUNK - 100 * KIB });
    engines.origin.readGate.release();
    const { body } = await result;
    coordinator!.dead = true;
    const parts: Buffer[] = [];
    for await (const piece of body) {
      parts.push(Buffer.from(piece.bytes));
      piece.release();
    }
    expect(Buffer.concat(parts).equals(engines.body.subarray(0, CHUNK))).toBe(true);
    await other!.engine.idle();
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    expect(total(engines, 'sparseReads', 'origin')).toBe(0);
  });

  test('a read across two chunks takes a block of each: reading ahead fills nothing', async () => {
    const engines = open({ replicas: 3 });
    await expectRead(engines, engines.replicas[0]!, CHUNK - 2 * KIB);
    await idle(engines);
    expect(engines.origin.counts).toMatchObject({ reads: 2, bytes: 2 * BLOCK });
    expect(engines.store.paths()).toEqual([]);
    await expectWhole(engines);
  });
});

describe('the cachestore comes first', () => {
  test.for([0, 1])('a chunk that nobody remembers is read from it (rank %i asks)', async (rank) => {
    const cold = open({ replicas: 2 });
    await readAll(cold.replicas[0]!.engine, readRequest('a'));
    await idle(cold);
    const engines = open({ replicas: 2, store: cold.store });
    expect((await expectRead(engines, engines.ranked[rank]!, 0)).source).toBe('store');
    expect(engines.origin.counts.reads).toBe(0);
    await expectWhole(engines);
  });

  test('while it is away, sparse reads are answered all the same', async () => {
    const engines = open({ replicas: 2 });
    engines.store.down = new OrcaError('store_unavailable', 'gone');
    for (const [number, replica] of engines.replicas.entries()) await expectRead(engines, replica, number * MIB);
    expect(engines.origin.counts).toMatchObject({ reads: 2, bytes: 2 * BLOCK });
    await expectWhole(engines);
  });
});

describe('the origin', () => {
  test.for([0, 1])(
    'an object that has changed is resolved again before the first byte (rank %i asks)',
    async (rank) => {
      const engines = open({ replicas: 2 });
      const { engine } = engines.ranked[rank]!;
      await engine.read(readRequest('a', { headOnly: true }));
      const changed = patternBytes(2 * CHUNK + 5, 2);
      engines.origin.put('far-models', 'a', changed);
      const { bytes, result } = await readAll(engine, rangeRequest(100, 4 * KIB));
      expect(bytes.equals(changed.subarray(100, 100 + 4 * KIB))).toBe(true);
      expect(result.head.sizeBytes).toBe(changed.length);
      await expectWhole(engines);
    },
  );

  test('an object that changes in the middle of a sparse read breaks it', async () => {
    const engines = open();
    const { engine } = engines.replicas[0]!;
    engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 2 * BLOCK });
    const result = await engine.read(rangeRequest(0, 6 * BLOCK));
    engines.origin.put('far-models', 'a', patternBytes(2 * CHUNK, 2));
    await expect(collect(result)).rejects.toMatchObject({ code: 'object_changed' });
    await expectWhole(engines);
  });

  test('an object that has changed is noticed by the fill behind a second touch', async () => {
    const engines = open();
    const { engine } = engines.replicas[0]!;
    await expectRead(engines, engines.replicas[0]!, 0);
    const changed = patternBytes(2 * CHUNK, 2);
    engines.origin.put('far-models', 'a', changed);
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    const { bytes } = await readAll(engine, rangeRequest(0, 4 * KIB));
    expect(bytes.equals(changed.subarray(0, 4 * KIB))).toBe(true);
    await expectWhole(engines);
  });

  test('a body that is cut goes on where it broke', async () => {
    const engines = open();
    engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 10_000 });
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    expect(engines.origin.reads.map(({ range }) => range)).toEqual([
      { from: 0, to: BLOCK },
      { from: 10_000, to: BLOCK },
    ]);
    await expectWhole(engines);
  });

  test('a body that stays short is an error, is kept nowhere, and is no touch', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    engines.origin.inject({ on: 'read', what: 'short', afterBytes: 10, times: 3 });
    await expect(readAll(replica!.engine, rangeRequest(4 * KIB, 4 * KIB))).rejects.toMatchObject({
      code: 'origin_unavailable',
    });
    await idle(engines);
    expect(replica!.engine.memoryTier.count).toBe(0);
    expect(replica!.engine.blockTable.size).toBe(0);
    await expectRead(engines, replica!, 4 * KIB);
    expect(engines.store.paths()).toEqual([]);
    await expectWhole(engines);
  });

  test.for(['not_found', 'origin_throttled', 'origin_denied'] as const)(
    '%s reaches the client by way of the peer',
    async (code) => {
      const engines = open({ replicas: 2 });
      engines.origin.inject({ on: 'read', what: new OrcaError(code, 'no'), times: 3 });
      await expect(readAll(engines.ranked[1]!.engine, rangeRequest(0, 4 * KIB))).rejects.toMatchObject({ code });
      await expectWhole(engines);
    },
  );
});

describe('memory', () => {
  test('a reader that goes leaves the read to those who come after', async () => {
    const engines = open();
    const [replica] = engines.replicas;
    const gone = new AbortController();
    engines.origin.readGate.hold();
    const refused = replica!.engine.read(rangeRequest(0, 4 * KIB, gone.signal));
    refused.catch(() => {});
    await engines.origin.readGate.reached();
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    await expect(refused).rejects.toMatchObject({ code: 'cancelled' });
    const after = expectRead(engines, replica!, 8 * KIB);
    engines.origin.readGate.release();
    await after;
    expect(engines.origin.counts.reads).toBe(1);
    await expectWhole(engines);
  });

  test('blocks give way to a fill, and are asked of the origin again', { timeout: LONG_MS }, async () => {
    const engines = open({ sizeBytes: 10 * CHUNK, budgetBytes: 16 * MIB });
    const [replica] = engines.replicas;
    const { memory, memoryTier } = replica!.engine;
    // 10 chunks with 8 blocks each are 5 MiB, of the 14 that fills may have.
    for (let block = 0; block < 8; block++)
      for (let chunk = 0; chunk < 10; chunk++) await expectRead(engines, replica!, chunk * CHUNK + block * 4 * BLOCK);
    expect(memoryTier.sizeBytes).toBe(80 * BLOCK);
    engines.origin.put('far-models', 'b', patternBytes(12 * MIB, 3));
    const { bytes } = await readAll(replica!.engine, readRequest('b'));
    expect(bytes.equals(patternBytes(12 * MIB, 3))).toBe(true);
    expect(memory.usedBytes).toBeLessThanOrEqual(16 * MIB);
    await expectRead(engines, replica!, 0);
    await expectWhole(engines);
  });

  test('without memory a new request is refused and leaves no trace', async () => {
    const clock = fakeClock();
    const engines = open({ clock, budgetBytes: 16 * MIB });
    const { engine } = engines.replicas[0]!;
    const lease = engine.memory.tryLease(14 * MIB, 'fill')!;
    const refused = engine.read(rangeRequest(0, 4 * KIB));
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    expect(engine.blockTable.size).toBe(0);
    lease.close();
    await whileTimePasses(clock, expectRead(engines, engines.replicas[0]!, 0));
    await whileTimePasses(clock, expectWhole(engines));
  });

  test('a thousand readers that come and go leave nothing behind', async () => {
    const engines = open({ replicas: 3, sizeBytes: 8 * CHUNK });
    const reads = Array.from({ length: 1_000 }, async (_, i) => {
      const gone = new AbortController();
      const { engine } = engines.replicas[i % 3]!;
      const from = ((i * 7_919) % 512) * BLOCK;
      const read = engine.read(rangeRequest(from, 4 * KIB, gone.signal));
      if (i % 2 === 0) gone.abort(new OrcaError('cancelled', 'the client has gone'));
      const result = await read.catch(() => undefined);
      for await (const piece of result?.body ?? []) piece.release();
    });
    await Promise.all(reads);
    await expectWhole(engines);
    for (const { engine } of engines.replicas) expect(engine.limiter.running).toBe(0);
  });
});
