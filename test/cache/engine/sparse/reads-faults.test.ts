import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { collect, MIB, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  BLOCK,
  CHUNK,
  expectAllEvictable,
  expectRead,
  idle,
  KIB,
  LONG_MS,
  openSparse,
  rangeRequest,
} from '#test/support/sparse-engines.ts';

describe('the cachestore', () => {
  test.for([0, 1])('serves a stored chunk that no catalog lists (rank %i reads)', async (rank) => {
    const cold = openSparse({ replicas: 2 });
    await readAll(cold.replicas[0]!.engine, readRequest('a'));
    await idle(cold);
    const engines = openSparse({ replicas: 2, store: cold.store });
    expect((await expectRead(engines, engines.ranked[rank]!, 0)).source).toBe('store');
    expect(engines.origin.counts.reads).toBe(0);
    await expectAllEvictable(engines);
  });

  test('is not needed for sparse reads', async () => {
    const engines = openSparse({ replicas: 2 });
    engines.store.down = new OrcaError('store_unavailable', 'down');
    for (const [number, replica] of engines.replicas.entries()) await expectRead(engines, replica, number * MIB);
    expect(engines.origin.counts).toMatchObject({ reads: 2, bytes: 2 * BLOCK });
    await expectAllEvictable(engines);
  });
});

describe('the origin', () => {
  test.for([0, 1])(
    'an object that has changed is resolved again before the first byte (rank %i reads)',
    async (rank) => {
      const engines = openSparse({ replicas: 2 });
      const { engine } = engines.ranked[rank]!;
      await engine.read(readRequest('a', { headOnly: true }));
      const changed = patternBytes(2 * CHUNK + 5, 2);
      engines.origin.put('far-models', 'a', changed);
      const { bytes, result } = await readAll(engine, rangeRequest(100, 4 * KIB));
      expect(bytes.equals(changed.subarray(100, 100 + 4 * KIB))).toBe(true);
      expect(result.head.sizeBytes).toBe(changed.length);
      await expectAllEvictable(engines);
    },
  );

  test('an object that changes in the middle of a sparse read ends it with object_changed', async () => {
    const engines = openSparse();
    const { engine } = engines.replicas[0]!;
    engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 2 * BLOCK });
    const result = await engine.read(rangeRequest(0, 6 * BLOCK));
    engines.origin.put('far-models', 'a', patternBytes(2 * CHUNK, 2));
    await expect(collect(result)).rejects.toMatchObject({ code: 'object_changed' });
    await expectAllEvictable(engines);
  });

  test('a background fill detects that the object has changed', async () => {
    const engines = openSparse();
    const { engine } = engines.replicas[0]!;
    await expectRead(engines, engines.replicas[0]!, 0);
    // Reads that are served from memory, until they have paid for a fill: 80 KiB each.
    const reads = CHUNK / (80 * KIB);
    for (let read = 1; read < reads - 1; read++) await expectRead(engines, engines.replicas[0]!, 0);
    const changed = patternBytes(2 * CHUNK, 2);
    engines.origin.put('far-models', 'a', changed);
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    const { bytes } = await readAll(engine, rangeRequest(0, 4 * KIB));
    expect(bytes.equals(changed.subarray(0, 4 * KIB))).toBe(true);
    await expectAllEvictable(engines);
  });

  test('a connection that is cut is continued at its offset', async () => {
    const engines = openSparse();
    engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 10_000 });
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    expect(engines.origin.reads.map(({ range }) => range)).toEqual([
      { from: 0, to: BLOCK },
      { from: 10_000, to: BLOCK },
    ]);
    await expectAllEvictable(engines);
  });

  test('a response that stays short is an error, is not kept, and does not count as a read of the block', async () => {
    const engines = openSparse();
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
    await expectAllEvictable(engines);
  });

  test.for(['not_found', 'origin_throttled', 'origin_denied'] as const)(
    '%s reaches the client through the peer',
    async (code) => {
      const engines = openSparse({ replicas: 2 });
      engines.origin.inject({ on: 'read', what: new OrcaError(code, 'no'), times: 3 });
      await expect(readAll(engines.ranked[1]!.engine, rangeRequest(0, 4 * KIB))).rejects.toMatchObject({ code });
      await expectAllEvictable(engines);
    },
  );
});

describe('memory', () => {
  test('a sparse read continues after its client disconnected, and later readers join it', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    const disconnect = new AbortController();
    engines.origin.readGate.hold();
    const refused = replica!.engine.read(rangeRequest(0, 4 * KIB, disconnect.signal));
    refused.catch(() => {});
    await engines.origin.readGate.reached();
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(refused).rejects.toMatchObject({ code: 'cancelled' });
    const after = expectRead(engines, replica!, 8 * KIB);
    engines.origin.readGate.release();
    await after;
    expect(engines.origin.counts.reads).toBe(1);
    await expectAllEvictable(engines);
  });

  test('blocks are evicted for a fill, and fetched from the origin again', { timeout: LONG_MS }, async () => {
    const engines = openSparse({ sizeBytes: 10 * CHUNK, budgetBytes: 16 * MIB });
    const [replica] = engines.replicas;
    const { memory, memoryTier } = replica!.engine;
    // 10 chunks with 8 blocks each are 5 MiB, of which a quarter of the budget is kept; fills may use 14 MiB.
    for (let block = 0; block < 8; block++)
      for (let chunk = 0; chunk < 10; chunk++) await expectRead(engines, replica!, chunk * CHUNK + block * 4 * BLOCK);
    expect(memoryTier.sizeBytes).toBe(4 * MIB);
    engines.origin.put('far-models', 'b', patternBytes(12 * MIB, 3));
    const { bytes } = await readAll(replica!.engine, readRequest('b'));
    expect(bytes.equals(patternBytes(12 * MIB, 3))).toBe(true);
    expect(memory.usedBytes).toBeLessThanOrEqual(16 * MIB);
    await expectRead(engines, replica!, 0);
    await expectAllEvictable(engines);
  });

  test('without memory a new request is refused, and no block counts as requested', async () => {
    const clock = fakeClock();
    const engines = openSparse({ clock, budgetBytes: 16 * MIB });
    const { engine } = engines.replicas[0]!;
    const lease = engine.memory.tryLease(14 * MIB, 'fill')!;
    const refused = engine.read(rangeRequest(0, 4 * KIB));
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    expect(engine.blockTable.size).toBe(0);
    lease.close();
    await whileTimePasses(clock, expectRead(engines, engines.replicas[0]!, 0));
    await whileTimePasses(clock, expectAllEvictable(engines));
  });

  test('a thousand readers, half of which disconnect, leave no memory leased', async () => {
    const engines = openSparse({ replicas: 3, sizeBytes: 8 * CHUNK });
    const reads = Array.from({ length: 1_000 }, async (_, i) => {
      const disconnect = new AbortController();
      const { engine } = engines.replicas[i % 3]!;
      const from = ((i * 7_919) % 512) * BLOCK;
      const read = engine.read(rangeRequest(from, 4 * KIB, disconnect.signal));
      if (i % 2 === 0) disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
      const result = await read.catch(() => undefined);
      for await (const piece of result?.body ?? []) piece.release();
    });
    await Promise.all(reads);
    await expectAllEvictable(engines);
    for (const { engine } of engines.replicas) expect(engine.limiter.running).toBe(0);
  });
});
