import { describe, expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import {
  MIB,
  openEngines,
  reopenEngines,
  patternBytes,
  readAll,
  readRequest,
  type EnginesOptions,
} from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const path = (name: string) => `o/h/${name}` as ChunkPath;

async function tierOf(...names: string[]) {
  const memory = new ChunkMemory({ budgetBytes: 16 * SEGMENT_BYTES, clock: fakeClock() });
  const tier = new MemoryTier();
  const add = async (name: string) => {
    const lease = await memory.lease(SEGMENT_BYTES, 'fill', 'new', new AbortController().signal);
    tier.put(path(name), new ChunkBytes(lease, SEGMENT_BYTES));
  };
  for (const name of names) await add(name);
  const kept = (...all: string[]) => all.filter((name) => tier.get(path(name)) !== undefined);
  return { memory, tier, add, kept };
}

test('the oldest that nobody read goes first', async () => {
  const { tier, kept } = await tierOf('a', 'b', 'c');
  tier.get(path('a'));
  tier.evict(1);
  expect(kept('a', 'b', 'c')).toEqual(['a', 'c']);
});

test('a scan of new chunks does not push out what is read again', async () => {
  const { tier, add, kept } = await tierOf('hot', 'x');
  for (let i = 0; i < 10; i++) {
    tier.get(path('hot'));
    await add(`scan-${i}`);
    tier.evict(1);
  }
  expect(kept('hot')).toEqual(['hot']);
  expect(tier.count).toBe(2);
});

test('evicting gives the memory back, all of it if need be', async () => {
  const { memory, tier } = await tierOf('a', 'b', 'c');
  expect(tier.sizeBytes).toBe(3 * SEGMENT_BYTES);
  tier.evict(SEGMENT_BYTES + 1);
  expect(memory.usedBytes).toBe(SEGMENT_BYTES);
  tier.evict(Number.POSITIVE_INFINITY);
  expect([memory.usedBytes, tier.count, tier.sizeBytes]).toEqual([0, 0, 0]);
});

test('a chunk that is put again replaces the old one', async () => {
  const { memory, tier, add } = await tierOf('a');
  await add('a');
  expect([tier.count, memory.usedBytes]).toEqual([1, SEGMENT_BYTES]);
});

test('the hand survives the removal of the entry it points at', async () => {
  const { tier, kept } = await tierOf('a', 'b', 'c', 'd');
  for (const name of ['a', 'b']) tier.get(path(name));
  tier.evict(1);
  expect(kept('a', 'b', 'c', 'd')).toEqual(['a', 'b', 'd']);
  tier.delete(path('d'));
  tier.evict(1);
  tier.evict(1);
  expect(tier.count).toBe(0);
});

test('whoever waits for memory gets it as soon as a chunk may go', async () => {
  const memory = new ChunkMemory({ budgetBytes: 8 * SEGMENT_BYTES, clock: fakeClock() });
  const tier = new MemoryTier();
  memory.onPressure(tier);
  tier.onEvictable(() => memory.reconsider());
  const never = new AbortController().signal;
  const lengthBytes = 6 * SEGMENT_BYTES;
  tier.pin(path('a'), new ChunkBytes(await memory.lease(lengthBytes, 'fill', 'new', never), lengthBytes));
  const waiting = memory.lease(lengthBytes, 'fill', 'started', never);
  expect(memory.waiting('started')).toBe(1);
  tier.unpin(path('a'));
  expect((await waiting).capacity).toBe(6);
});

describe('a chunk that is read from the cachestore', () => {
  async function stored(options: EnginesOptions & { readonly sizeBytes?: number }) {
    const engines = openEngines({ readahead: 0, ...options });
    const body = patternBytes(options.sizeBytes ?? 8 * MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    await readAll(engine, readRequest('a'));
    await engine.idle();
    const { engine: anew } = reopenEngines(engines, { readahead: 0, ...options }).replicas[0]!;
    const read = async (range?: string) => {
      const { bytes } = await readAll(anew, readRequest('a', { range }));
      await turn();
      expect(anew.memory.usedBytes).toBe(anew.memoryTier.sizeBytes);
      return bytes;
    };
    return { engine: anew, store: engines.store, body, read };
  }

  test('stays in memory when it is read whole for the second time', async () => {
    const { engine, store, body, read } = await stored({ chunkBytes: 8 * MIB });
    await read();
    expect(engine.memoryTier.count).toBe(0);
    expect((await read()).equals(body)).toBe(true);
    expect(engine.memoryTier.sizeBytes).toBe(8 * MIB);
    const reads = store.counts.reads;
    expect((await read()).equals(body)).toBe(true);
    expect((await read('bytes=1000-2000')).equals(body.subarray(1000, 2001))).toBe(true);
    expect(store.counts.reads).toBe(reads);
  });

  test('does not when only a range of it is read: nothing is fetched for memory alone', async () => {
    const { engine, store, read } = await stored({ chunkBytes: 8 * MIB });
    for (let i = 0; i < 4; i++) await read('bytes=0-65535');
    expect([engine.memoryTier.count, store.counts.bytesRead]).toEqual([0, 4 * 65_536]);
  });

  test('does not when it is longer than 8 MiB', async () => {
    const { engine, read } = await stored({ chunkBytes: 16 * MIB, sizeBytes: 16 * MIB });
    for (let i = 0; i < 3; i++) await read();
    expect(engine.memoryTier.count).toBe(0);
  });

  test('takes the room of chunks that nobody reads again, and leaves the others', async () => {
    const { engine, read } = await stored({ chunkBytes: MIB, sizeBytes: 24 * MIB, budgetBytes: 16 * MIB });
    await read();
    await read();
    expect(engine.memoryTier.sizeBytes).toBeLessThanOrEqual(14 * MIB);
    expect(engine.memoryTier.count).toBeGreaterThan(8);
  });

  test('is dropped again when it turns out to be bad at its end', async () => {
    const { engine, store, body, read } = await stored({ chunkBytes: 8 * MIB });
    await read();
    store.flip(store.paths()[0]!, 8 * MIB - 10);
    expect((await read()).equals(body)).toBe(true);
    await engine.idle();
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
    expect((await read()).equals(body)).toBe(true);
  });
});
