import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ChunkRead } from '#cache/engine/fetch/context.ts';
import { expectNoStreams, readsBody, turns } from '#test/support/engine-checks.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  whileTimePasses,
  type Replica,
} from '#test/support/engines.ts';
import { scriptedPeer } from '#test/support/scripted-peer.ts';
import { twoReplicas } from '#test/support/two-replicas.ts';

/** For hundreds of readers on a busy machine. */
const LONG_MS = 60_000;

const ALL_EQUAL = new Set([true]);

describe('a concurrent burst', () => {
  test(
    'of fifty readers at each of three replicas reads each chunk once from the origin and once from its coordinator',
    { timeout: LONG_MS },
    async () => {
      const engines = openEngines({ replicas: 3, chunkBytes: MIB / 32 });
      const body = patternBytes(MIB);
      engines.origin.put('far-models', 'a', body);
      const reads = engines.replicas.flatMap((replica) => Array.from({ length: 50 }, () => readsBody(replica, body)));
      expect(new Set(await Promise.all(reads))).toEqual(ALL_EQUAL);
      expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 32, bytes: body.length });
      // Each replica gets from other replicas the chunks that it does not coordinate.
      const peerBytes = engines.replicas.reduce((sum, replica) => sum + replica.peerBytes, 0);
      expect(peerBytes).toBe(2 * body.length);
      for (const { peerBytes: own } of engines.replicas) expect(own).toBeLessThan(body.length);
      expect(engines.replicas.reduce((sum, { fillCalls }) => sum + fillCalls, 0)).toBe(2 * 32);
      await expectNoStreams(engines);
    },
  );

  test('uses the memory of one stream, however many readers share it', async () => {
    const { engines, reader, body } = twoReplicas(5 * MIB, { budgetBytes: 20 * MIB });
    engines.origin.readGate.hold();
    const reads = Array.from({ length: 100 }, () => readsBody(reader, body));
    await turns(30);
    expect({ streams: reader.engine.peerStreams.count, readers: reader.engine.peerStreams.readers }).toEqual({
      streams: 1,
      readers: 100,
    });
    expect(reader.engine.memory.usedBytes).toBe(4 * MIB);
    engines.origin.readGate.release();
    expect(new Set(await Promise.all(reads))).toEqual(ALL_EQUAL);
    expect(reader.peerBytes).toBe(body.length);
    await expectNoStreams(engines);
  });

  test('of different ranges shares one stream that contains them', async () => {
    const { engines, reader, owner, body } = twoReplicas(4 * MIB);
    engines.origin.readGate.hold();
    const whole = readAll(reader.engine, readRequest('a'));
    await engines.origin.readGate.reached();
    const ranges = [
      [0, 100],
      [1_000, 2 * MIB],
      [MIB, 4 * MIB],
    ] as const;
    const parts = ranges.map(([from, to]) =>
      readAll(reader.engine, readRequest('a', { range: `bytes=${from}-${to - 1}` })),
    );
    await turns(5);
    engines.origin.readGate.release();
    expect((await whole).bytes.equals(body)).toBe(true);
    for (const [i, [from, to]] of ranges.entries())
      expect((await parts[i]!).bytes.equals(body.subarray(from, to))).toBe(true);
    expect(owner.fillCalls).toBe(1);
    await expectNoStreams(engines);
  });
});

describe('readers at different paces', () => {
  /** A reader that takes its first piece, and the remaining ones when `rest` is called. */
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

  test('a stalled reader does not slow other readers, and continues from the cachestore after it was passed', async () => {
    const { engines, reader, owner, body } = twoReplicas(12 * MIB, { budgetBytes: 48 * MIB });
    const slow = await begin(reader);
    const fast = Array.from({ length: 3 }, () => readsBody(reader, body));
    expect(new Set(await Promise.all(fast))).toEqual(ALL_EQUAL);
    await owner.engine.idle();
    const { reads } = engines.store.counts;
    const { peerBytes } = reader;
    expect((await slow.rest()).equals(body)).toBe(true);
    expect(reader.counts.fallThroughs['left_behind/committed']).toBeGreaterThan(0);
    expect(engines.store.counts.reads).toBe(reads + 1);
    expect(reader.peerBytes).toBe(peerBytes);
    expect(engines.origin.counts.bytes).toBe(body.length);
    await expectNoStreams(engines);
  });

  test('while the chunk is not committed, a reader that was passed gets a stream of its own', async () => {
    const { engines, reader, body } = twoReplicas(12 * MIB, { budgetBytes: 48 * MIB });
    engines.store.commitGate.hold();
    const slow = await begin(reader);
    expect((await readAll(reader.engine, readRequest('a'))).bytes.equals(body)).toBe(true);
    expect((await slow.rest()).equals(body)).toBe(true);
    expect(reader.counts.fallThroughs).toMatchObject({ 'left_behind/own_stream': 1 });
    expect(engines.origin.counts.bytes).toBe(body.length);
    engines.store.commitGate.release();
    await expectNoStreams(engines);
  });
});

describe('readers that were passed, while their chunk is not committed', () => {
  function open() {
    const scripted = scriptedPeer();
    const { streams, chunk, peer } = scripted;
    const join = (from: number, demand: ChunkRead['demand']) => {
      const range = { from, to: chunk.lengthBytes };
      const read = { chunk, range, demand, signal: new AbortController().signal, requestId: 'test' };
      return streams.join({ chunk, peer, rank: 1, reason: 'miss' }, range, read, true);
    };
    /** Each begins so far before the previous one that they cannot share a stream. */
    const joinOwn = async (index: number) => {
      const joined = await join((60 - 3 * index) * MIB, 'started');
      if (joined === 'committed') throw new Error('the chunk is not committed');
      return joined;
    };
    const sixteen = () => Promise.all(Array.from({ length: 16 }, (_, index) => joinOwn(index)));
    const next = (demand: ChunkRead['demand']) => join(0, demand);
    return { ...scripted, sixteen, next };
  }

  test('sixteen readers get a stream of their own, and the next one waits for the commit', async () => {
    const { clock, store, streams, requests, chunk, sixteen, next } = open();
    const readers = await sixteen();
    const waiting = next('started');
    await clock.advance(10_000);
    expect(requests).toHaveLength(16);
    store.plant(chunk, patternBytes(chunk.lengthBytes), undefined);
    expect(await whileTimePasses(clock, waiting)).toBe('committed');
    for (const reader of readers) reader.close();
    expect(streams.count).toBe(0);
  });

  test('a waiting reader takes the place of one that leaves', async () => {
    const { clock, memory, requests, sixteen, next } = open();
    const readers = await sixteen();
    const waiting = next('started');
    await clock.advance(1_000);
    readers[3]!.close();
    const late = await whileTimePasses(clock, waiting);
    expect(requests).toHaveLength(17);
    for (const reader of [...readers, late]) if (reader !== 'committed') reader.close();
    expect(memory.usedBytes).toBe(0);
  });

  test.for([
    ['a response that has started waits for a minute', 'started', 60_000],
    ['a new request waits for five seconds', 'new', 5_000],
    ['read-ahead does not wait', 'ahead', 0],
  ] as const)('%s', async ([, demand, limitMs]) => {
    const { clock, sixteen, next } = open();
    const readers = await sixteen();
    const sinceMs = clock.now();
    const refused = next(demand);
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded' });
    expect(clock.now() - sinceMs).toBeLessThanOrEqual(limitMs + 1_000);
    expect(clock.now() - sinceMs).toBeGreaterThanOrEqual(limitMs);
    for (const reader of readers) reader.close();
    expect(clock.pending()).toBe(0);
  });

  test('one query of the peer serves all waiting readers, and none goes to the cachestore', async () => {
    const { clock, store, chunk, commitQueries, sixteen, next } = open();
    const readers = await sixteen();
    expect(commitQueries).toHaveLength(1);
    const waiting = Array.from({ length: 50 }, () => next('started'));
    await clock.advance(1_000);
    expect(commitQueries.length).toBeLessThanOrEqual(6);
    expect(store.counts.has).toBe(0);
    store.plant(chunk, patternBytes(chunk.lengthBytes), undefined);
    for (const outcome of await whileTimePasses(clock, Promise.all(waiting))) expect(outcome).toBe('committed');
    for (const reader of readers) reader.close();
  });
});

describe('readers that leave', () => {
  test('do not affect other readers', async () => {
    const { engines, reader, owner, body } = twoReplicas(4 * MIB);
    engines.origin.readGate.hold();
    const disconnect = new AbortController();
    const first = Promise.allSettled([readAll(reader.engine, readRequest('a', { signal: disconnect.signal }))]);
    const others = Array.from({ length: 3 }, () => readAll(reader.engine, readRequest('a')));
    await turns(30);
    // The reader that started the stream.
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    expect(await first).toMatchObject([{ status: 'rejected', reason: { code: 'cancelled' } }]);
    expect(reader.engine.peerStreams.readers).toBe(3);
    engines.origin.readGate.release();
    for (const { bytes } of await Promise.all(others)) expect(bytes.equals(body)).toBe(true);
    expect(owner.fillCalls).toBe(1);
    await expectNoStreams(engines);
  });

  test('close the stream at once when they were its last readers', async () => {
    const { engines, reader, owner } = twoReplicas(4 * MIB);
    engines.origin.readGate.hold();
    const disconnect = new AbortController();
    const reads = Promise.allSettled(
      Array.from({ length: 3 }, () => readAll(reader.engine, readRequest('a', { signal: disconnect.signal }))),
    );
    await turns(30);
    expect(owner.engine.flights.count).toBe(1);
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await turns(30);
    expect(reader.engine.peerStreams.count).toBe(0);
    expect(reader.engine.memory.usedBytes).toBe(0);
    for (const { status } of await reads) expect(status).toBe('rejected');
    engines.origin.readGate.release();
    await expectNoStreams(engines);
  });
});
