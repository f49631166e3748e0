import { expect, test } from 'vitest';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const MIB = 1024 * 1024;
const open = () => new ChunkMemory({ budgetBytes: 16 * MIB, clock: fakeClock() });

test('queued bytes count against the budget', () => {
  const memory = open();
  memory.countQueued(4 * MIB);
  expect([memory.usedBytes, memory.queuedBytes, memory.isQueueFull]).toEqual([4 * MIB, 4 * MIB, true]);
  expect(memory.tryLease(13 * MIB, 'window')).toBeUndefined();
  expect(memory.tryLease(12 * MIB, 'window')).toBeDefined();
});

test('a waiting caller gets the memory of queued bytes when they are sent', async () => {
  const memory = open();
  memory.countQueued(8 * MIB);
  const waiting = memory.lease(12 * MIB, 'window', 'new', new AbortController().signal);
  memory.countQueued(-8 * MIB);
  (await waiting).close();
  expect([memory.usedBytes, memory.isQueueFull]).toEqual([0, false]);
});

test('the queue is full beyond an eighth of the budget', () => {
  const memory = open();
  memory.countQueued(2 * MIB);
  expect(memory.isQueueFull).toBe(false);
  memory.countQueued(1);
  expect(memory.isQueueFull).toBe(true);
});
