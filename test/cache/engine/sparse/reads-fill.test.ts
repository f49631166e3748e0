import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { MIB, whileTimePasses } from '#test/support/engines.ts';
import { turns } from '#test/support/engine-checks.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  BLOCK,
  CHUNK,
  expectAllEvictable,
  expectRead,
  idle,
  KIB,
  openSparse,
  rangeRequest,
  total,
  type SparseEngines,
} from '#test/support/sparse-engines.ts';

/** At 80 KiB each, this many reads of 4 KiB pay for a chunk. */
const ENOUGH = Math.ceil(CHUNK / (80 * KIB));

async function readOften(engines: SparseEngines, times: number, from = 0): Promise<void> {
  for (let time = 0; time < times; time++)
    await expectRead(engines, engines.replicas[time % engines.replicas.length]!, from + (time % 8) * 8 * KIB);
}

describe('a chunk is filled', () => {
  test('when its reads have paid for it, through whatever replica, and its blocks are not fetched again', async () => {
    const engines = openSparse({ replicas: 3 });
    await readOften(engines, ENOUGH - 1);
    await idle(engines);
    expect(engines.store.paths()).toEqual([]);
    expect(engines.origin.counts.bytes).toBe(BLOCK);
    const last = await expectRead(engines, engines.ranked[0]!, 8 * KIB);
    expect(last.source).toBe('memory');
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    expect(total(engines, 'sparseBytes', 'reused')).toBe(BLOCK);
    await expectRead(engines, engines.ranked[1]!, 2 * MIB);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    await expectAllEvictable(engines);
  });

  test('while blocks in memory are still served from there', async () => {
    const engines = openSparse({ replicas: 2 });
    const [coordinator, other] = engines.ranked;
    await readOften(engines, ENOUGH - 1, 3 * MIB);
    engines.origin.readGate.hold();
    await expectRead(engines, other!, 3 * MIB);
    await engines.origin.readGate.reached();
    expect((await expectRead(engines, coordinator!, 3 * MIB)).source).toBe('memory');
    await expectRead(engines, other!, 3 * MIB);
    engines.origin.readGate.release();
    await expectAllEvictable(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('behind a read of a block that is not in memory, which does not wait for it', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    await readOften(engines, ENOUGH + 1);
    await expectRead(engines, replica!, 3 * MIB);
    await idle(engines);
    expect(engines.origin.reads.map(({ range }) => range)).toEqual([
      { from: 0, to: BLOCK },
      { from: BLOCK, to: CHUNK },
    ]);
    await expectAllEvictable(engines);
  });

  test('while a sparse read has no memory yet, whose block the fill fetches', async () => {
    const engines = openSparse({ replicas: 2 });
    const [coordinator, other] = engines.ranked;
    // The request of the other replica queries the cachestore before it gets memory.
    engines.store.hasGate.hold();
    const small = expectRead(engines, other!, 3 * MIB);
    await engines.store.hasGate.reached();
    engines.origin.readGate.hold();
    const whole = expectRead(engines, coordinator!, 0, CHUNK);
    await engines.origin.readGate.reached();
    engines.store.hasGate.release();
    await turns(20);
    engines.origin.readGate.release();
    await Promise.all([small, whole]);
    await idle(engines);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    await expectAllEvictable(engines);
  });

  test('by scattered reads, which cost no more than their budget together', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    let reads = 0;
    for (; engines.store.paths().length === 0; reads++) {
      await expectRead(engines, replica!, ((reads * 29) % 64) * BLOCK);
      await idle(engines);
      expect(engines.origin.counts.bytes).toBeLessThanOrEqual((reads + 1) * 80 * KIB);
    }
    // All blocks but some between those that were there are fetched once.
    expect(reads).toBeLessThan(2 * ENOUGH);
    await expectAllEvictable(engines);
  });

  test('to its end, even if the client whose read started the fill disconnects', async () => {
    const clock = fakeClock();
    const engines = openSparse({ clock });
    const [replica] = engines.replicas;
    await whileTimePasses(clock, readOften(engines, ENOUGH - 1));
    const disconnect = new AbortController();
    engines.origin.readGate.hold();
    const { body } = await replica!.engine.read(rangeRequest(0, 4 * KIB, disconnect.signal));
    for await (const piece of body) {
      piece.release();
      disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
      break;
    }
    await engines.origin.readGate.reached();
    await clock.advance(10_000);
    engines.origin.readGate.release();
    await whileTimePasses(clock, idle(engines));
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await whileTimePasses(clock, expectAllEvictable(engines));
  });
});

describe('a reader in sequence', () => {
  test('gets blocks twice as long each time, before it needs them, and the whole chunk in the end', async () => {
    const engines = openSparse({ replicas: 3 });
    for (let from = 0; from < CHUNK; from += 4 * KIB) await expectRead(engines, engines.ranked[1]!, from);
    await idle(engines);
    const ranges = engines.origin.reads.map(({ range }) => range);
    expect(ranges.slice(0, 4).map(({ from, to }) => (to - from) / BLOCK)).toEqual([1, 1, 2, 4]);
    expect(ranges.length).toBeLessThanOrEqual(7);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await expectAllEvictable(engines);
  });

  test('has the next chunk filled with its first read of it', async () => {
    const engines = openSparse({ replicas: 3, sizeBytes: 3 * CHUNK });
    for (let from = 0; from < 2 * CHUNK + 64 * KIB; from += 64 * KIB)
      await expectRead(engines, engines.replicas[1]!, from, 64 * KIB);
    await idle(engines);
    const later = engines.origin.reads.map(({ range }) => range).filter(({ from }) => from >= CHUNK);
    expect(later).toEqual([
      { from: CHUNK, to: 2 * CHUNK },
      { from: 2 * CHUNK, to: 3 * CHUNK },
    ]);
    expect(engines.origin.counts.bytes).toBe(3 * CHUNK);
    await expectAllEvictable(engines);
  });

  test('whose ranges reach a little into the next chunk has it filled at once', async () => {
    const engines = openSparse({ readahead: 0 });
    await expectRead(engines, engines.replicas[0]!, 0, CHUNK + 64 * KIB);
    await idle(engines);
    expect(total(engines, 'sparseReads', 'origin')).toBe(0);
    expect(engines.store.paths()).toHaveLength(2);
    await expectAllEvictable(engines);
  });
});

test('suffix reads never fill a chunk by themselves', async () => {
  const engines = openSparse({ replicas: 3 });
  for (let time = 0; time < 3 * ENOUGH; time++)
    await expectRead(engines, engines.replicas[time % 3]!, engines.body.length - 60 * KIB, 60 * KIB);
  await idle(engines);
  expect(engines.store.paths()).toEqual([]);
  expect(engines.origin.counts.bytes).toBe(BLOCK);
  await expectAllEvictable(engines);
});
