import { describe, expect, test } from 'vitest';
import { MIB, openEngines, readAll } from '#test/support/engines.ts';
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
  total,
} from '#test/support/sparse-engines.ts';
import { syntheticObject } from '#test/support/synthetic-object.ts';

const tenGib = () => syntheticObject(10 * 1024 * MIB, [{ minObjectSizeBytes: 0, chunkSizeBytes: 128 * MIB }]);

describe('a cold object of 10 GiB', () => {
  test('a read of 4 KiB fetches 64 KiB from the origin, at each of three replicas, and is not stored', async () => {
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
    await expectAllEvictable(engines);
    expect(engines.store.paths()).toEqual([]);
  });

  test(
    'a download in ranges of 8 MiB fetches each byte once, though its first three ranges were sparse',
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
      expect(total(engines, 'sparseReads', 'origin')).toBe(3);
      expect(big.readBytes()).toBe(128 * MIB);
      expect(engines.store.paths()).toHaveLength(1);
      await expectAllEvictable(engines);
    },
  );
});

describe('a concurrent burst', () => {
  test('of 100 clients that read one footer at three replicas costs one origin read', async () => {
    const engines = openSparse({ replicas: 3, sizeBytes: 2 * CHUNK - 1_000 });
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
    await expectAllEvictable(engines);
  });

  test('is one read, even for a request that is processed after it', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    engines.store.readGate.hold();
    const reads = Array.from({ length: 10 }, () => expectRead(engines, replica!, 0));
    await engines.store.readGate.reached();
    engines.store.readGate.release();
    await Promise.all(reads);
    await idle(engines);
    expect(engines.origin.counts).toMatchObject({ reads: 1, bytes: BLOCK });
  });

  test('of overlapping ranges shares their common blocks', async () => {
    const engines = openSparse();
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
    await expectAllEvictable(engines);
  });
});

describe('a read is not sparse', () => {
  test('in a chunk of eight blocks', async () => {
    const engines = openSparse({ sizeBytes: 8 * BLOCK });
    await expectRead(engines, engines.replicas[0]!, 0);
    await idle(engines);
    expect(engines.store.paths()).toHaveLength(1);
    expect(engines.origin.counts.bytes).toBe(8 * BLOCK);
  });

  test('from an eighth of a chunk on', async () => {
    const engines = openSparse();
    await expectRead(engines, engines.replicas[0]!, 0, CHUNK / 8);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('as the tail of a longer read whose coordinator failed', async () => {
    const engines = openSparse({ replicas: 2, readahead: 0 });
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
});

test('a read across two chunks fetches a block of each: read-ahead fills nothing', async () => {
  const engines = openSparse({ replicas: 3 });
  await expectRead(engines, engines.replicas[0]!, CHUNK - 2 * KIB);
  await idle(engines);
  expect(engines.origin.counts).toMatchObject({ reads: 2, bytes: 2 * BLOCK });
  expect(engines.store.paths()).toEqual([]);
  await expectAllEvictable(engines);
});
