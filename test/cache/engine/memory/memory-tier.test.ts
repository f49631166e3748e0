import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const path = (name: string) => `o/h/${name}` as ChunkPath;

async function tierOf(...names: string[]) {
  const memory = new ChunkMemory({ budgetBytes: 16 * SEGMENT_BYTES, clock: fakeClock() });
  const tier = new MemoryTier();
  const add = async (name: string, isCold?: boolean) => {
    const lease = await memory.lease(SEGMENT_BYTES, 'fill', 'new', new AbortController().signal);
    tier.put(path(name), new ChunkBytes(lease, SEGMENT_BYTES), isCold);
  };
  for (const name of names) await add(name);
  const kept = (...all: string[]) => all.filter((name) => tier.get(path(name)) !== undefined);
  return { memory, tier, add, kept };
}

test('evicts the oldest entry that was not read', async () => {
  const { tier, kept } = await tierOf('a', 'b', 'c');
  tier.get(path('a'));
  tier.evict(1);
  expect(kept('a', 'b', 'c')).toEqual(['a', 'c']);
});

test('a scan of new chunks does not evict a chunk that is read again', async () => {
  const { tier, add, kept } = await tierOf('hot', 'x');
  for (let i = 0; i < 10; i++) {
    tier.get(path('hot'));
    await add(`scan-${i}`);
    tier.evict(1);
  }
  expect(kept('hot')).toEqual(['hot']);
  expect(tier.count).toBe(2);
});

test('eviction frees memory, all of it if needed', async () => {
  const { memory, tier } = await tierOf('a', 'b', 'c');
  expect(tier.sizeBytes).toBe(3 * SEGMENT_BYTES);
  tier.evict(SEGMENT_BYTES + 1);
  expect(memory.usedBytes).toBe(SEGMENT_BYTES);
  tier.evict(Number.POSITIVE_INFINITY);
  expect([memory.usedBytes, tier.count, tier.sizeBytes]).toEqual([0, 0, 0]);
});

test('a chunk that is put again replaces the older entry', async () => {
  const { memory, tier, add } = await tierOf('a');
  await add('a');
  expect([tier.count, memory.usedBytes]).toEqual([1, SEGMENT_BYTES]);
});

test('the hand survives the removal of the entry it points to', async () => {
  const { tier, kept } = await tierOf('a', 'b', 'c', 'd');
  for (const name of ['a', 'b']) tier.get(path(name));
  tier.evict(1);
  expect(kept('a', 'b', 'c', 'd')).toEqual(['a', 'b', 'd']);
  tier.delete(path('d'));
  tier.evict(1);
  tier.evict(1);
  expect(tier.count).toBe(0);
});

test('a caller that waits for memory gets it as soon as a chunk becomes evictable', async () => {
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

test('a cold entry is evicted first, and the hand continues where it was', async () => {
  const { tier, add, kept } = await tierOf('a', 'b', 'c', 'd');
  for (const name of ['a', 'b']) tier.get(path(name));
  tier.evict(1);
  for (const name of ['x', 'y']) await add(name, true);
  tier.evict(2 * SEGMENT_BYTES);
  expect(kept('x', 'y')).toEqual([]);
  tier.evict(1);
  expect(kept('a', 'b', 'c', 'd')).toEqual(['a', 'b']);
});

test('a cold entry stays when it is read', async () => {
  const { tier, add, kept } = await tierOf('a');
  await add('x', true);
  tier.get(path('x'));
  tier.evict(1);
  expect(kept('a', 'x')).toEqual(['x']);
});

test('a cold entry can be the only one', async () => {
  const { memory, tier, add, kept } = await tierOf();
  await add('x', true);
  await add('a');
  tier.evict(1);
  expect(kept('a', 'x')).toEqual(['a']);
  tier.evict(1);
  expect([tier.count, memory.usedBytes]).toEqual([0, 0]);
});

test('a taken entry belongs to the caller; one that is pinned stays', async () => {
  const { memory, tier } = await tierOf('a', 'b');
  tier.repin(path('b'), tier.get(path('b'))!);
  const bytes = tier.take(path('a'));
  expect([tier.take(path('b')), tier.count, memory.usedBytes]).toEqual([undefined, 1, 2 * SEGMENT_BYTES]);
  bytes?.drop();
  expect(memory.usedBytes).toBe(SEGMENT_BYTES);
});
