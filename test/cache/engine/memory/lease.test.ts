import { expect, test } from 'vitest';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES, segmentsFor, SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;

function open(segments: number) {
  const memory = new ChunkMemory({ budgetBytes: segments * SEGMENT_BYTES, clock: fakeClock(), poison: true });
  const lease = (count: number) => memory.lease(count * SEGMENT_BYTES, 'window', 'new', NEVER);
  return { memory, lease };
}

test('a lease supplies its segments one by one, and reuses returned ones until it is closed', async () => {
  const { memory, lease } = open(8);
  const two = await lease(2);
  const first = two.take()!;
  const second = two.take()!;
  expect(two.take()).toBeUndefined();
  first.release();
  expect(two.take()).toBeDefined();
  expect(memory.usedBytes).toBe(2 * SEGMENT_BYTES);
  two.close();
  expect(memory.usedBytes).toBe(2 * SEGMENT_BYTES);
  second.release();
  expect(memory.usedBytes).toBe(SEGMENT_BYTES);
});

test('a retained segment stays until its last reference is released, and is then overwritten', async () => {
  const { memory, lease } = open(8);
  const one = await lease(1);
  const segment = one.take()!;
  segment.bytes.fill(1);
  segment.retain();
  segment.release();
  one.close();
  expect(segment.bytes[0]).toBe(1);
  expect(memory.usedBytes).toBe(SEGMENT_BYTES);
  segment.release();
  expect(segment.bytes[0]).toBe(0xdb);
  expect(memory.usedBytes).toBe(0);
});

test('releasing a segment twice, or retaining it after its last release, is an error', async () => {
  const { lease } = open(8);
  const segment = (await lease(1)).take()!;
  segment.release();
  expect(() => segment.release()).toThrow(expect.objectContaining({ code: 'internal' }));
  expect(() => segment.retain()).toThrow(expect.objectContaining({ code: 'internal' }));
});

test('small leases are charged in units of 64 KiB', async () => {
  const { memory } = open(8);
  const lease = await memory.lease(100_000, 'window', 'new', NEVER);
  expect(memory.usedBytes).toBe(2 * SMALL_SEGMENT_BYTES);
  expect(lease.segmentBytes).toBe(SMALL_SEGMENT_BYTES);
});

test('released memory is reused', async () => {
  const { lease } = open(8);
  const one = await lease(1);
  const { bytes } = one.take()!;
  one.close();
  const again = await lease(1);
  const first = again.take()!;
  first.release();
  expect(again.take()!.bytes).toBe(first.bytes);
  expect(bytes).toHaveLength(SEGMENT_BYTES);
});

test.for([
  [1, SMALL_SEGMENT_BYTES, 1],
  [4 * SMALL_SEGMENT_BYTES, SMALL_SEGMENT_BYTES, 4],
  [4 * SMALL_SEGMENT_BYTES + 1, SEGMENT_BYTES, 1],
  [SEGMENT_BYTES + 1, SEGMENT_BYTES, 2],
] as const)('%i bytes are leased in segments of %i bytes: %i', ([lengthBytes, segmentBytes, count]) => {
  expect(segmentsFor(lengthBytes)).toEqual({ segmentBytes, count });
});

test('notifies its owner whenever a segment returns, until it is closed', async () => {
  const { lease } = open(8);
  const two = await lease(2);
  let calls = 0;
  two.onRoom(() => calls++);
  const segments = [two.take()!, two.take()!];
  segments[0]!.release();
  expect(calls).toBe(1);
  two.close();
  segments[1]!.release();
  expect(calls).toBe(1);
});

test('trim returns only segments that are not in use', async () => {
  const { memory, lease } = open(8);
  const four = await lease(4);
  const segment = four.take()!;
  four.trim(0);
  expect([four.capacity, memory.usedBytes]).toEqual([1, SEGMENT_BYTES]);
  segment.release();
  four.close();
  expect(memory.usedBytes).toBe(0);
});
