import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { MIB, whileTimePasses } from '#test/support/engines.ts';
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
} from '#test/support/sparse-engines.ts';

describe('a chunk is filled', () => {
  test('by the second read of a block, which is served from memory', async () => {
    const engines = openSparse({ replicas: 3 });
    const [coordinator, other] = engines.ranked;
    await expectRead(engines, other!, 0);
    expect(engines.origin.counts.bytes).toBe(BLOCK);
    const again = await expectRead(engines, coordinator!, 8 * KIB);
    expect(again.source).toBe('memory');
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    // The block that the sparse read fetched is not fetched again.
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    expect(total(engines, 'sparseBytes', 'reused')).toBe(BLOCK);
    await expectRead(engines, other!, 2 * MIB);
    expect(engines.origin.counts.bytes).toBe(CHUNK);
    await expectAllEvictable(engines);
  });

  test('while blocks in memory are still served from there', async () => {
    const engines = openSparse({ replicas: 2 });
    const [coordinator, other] = engines.ranked;
    await expectRead(engines, other!, 3 * MIB);
    engines.origin.readGate.hold();
    await expectRead(engines, other!, 3 * MIB);
    await engines.origin.readGate.reached();
    expect((await expectRead(engines, coordinator!, 3 * MIB)).source).toBe('memory');
    await expectRead(engines, other!, 3 * MIB);
    engines.origin.readGate.release();
    await expectAllEvictable(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
  });

  test('by a second read through another replica', async () => {
    const engines = openSparse({ replicas: 3 });
    const [, other, third] = engines.ranked;
    await expectRead(engines, other!, MIB);
    await expectRead(engines, third!, MIB + 4 * KIB);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await expectAllEvictable(engines);
  });

  test('by the second read of an evicted block, which joins the fill', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    await expectRead(engines, replica!, 0);
    replica!.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    expect((await expectRead(engines, replica!, 0)).source).toBe('fill');
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    expect(replica!.counts.sparseReads).toEqual({ origin: 1, fill: 1 });
    await expectAllEvictable(engines);
  });

  test('by reads of more than an eighth of its blocks', async () => {
    const engines = openSparse();
    const [replica] = engines.replicas;
    for (let block = 0; block < 8; block++) await expectRead(engines, replica!, block * 4 * BLOCK);
    expect(engines.origin.counts).toMatchObject({ reads: 8, bytes: 8 * BLOCK });
    expect(engines.store.paths()).toEqual([]);
    await expectRead(engines, replica!, 8 * 4 * BLOCK);
    await idle(engines);
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await expectAllEvictable(engines);
  });

  test('to its end, even if the client whose second read started the fill disconnects', async () => {
    const clock = fakeClock();
    const engines = openSparse({ clock });
    const [replica] = engines.replicas;
    await whileTimePasses(clock, expectRead(engines, replica!, 0));
    replica!.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    const disconnect = new AbortController();
    engines.origin.readGate.hold();
    const refused = replica!.engine.read(rangeRequest(0, 4 * KIB, disconnect.signal));
    refused.catch(() => {});
    await engines.origin.readGate.reached();
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(refused).rejects.toMatchObject({ code: 'cancelled' });
    await clock.advance(10_000);
    engines.origin.readGate.release();
    await whileTimePasses(clock, idle(engines));
    expect(engines.store.paths()).toEqual([engines.chunk.path]);
    await whileTimePasses(clock, expectAllEvictable(engines));
  });
});
