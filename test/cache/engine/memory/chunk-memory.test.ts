import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES, type Lease, type Purpose } from '#cache/engine/memory/lease.ts';
import { ChunkMemory, type Reserve } from '#cache/engine/memory/chunk-memory.ts';
import type { Demand } from '#cache/engine/ports.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;

function open(segments: number) {
  const clock = fakeClock();
  const memory = new ChunkMemory({ budgetBytes: segments * SEGMENT_BYTES, clock, poison: true });
  const lease = (count: number, purpose: Purpose = 'window', demand: Demand = 'new', signal = NEVER) =>
    memory.lease(count * SEGMENT_BYTES, purpose, demand, signal);
  return { clock, memory, lease };
}

/** Each goes in its turn, whole. */
function reserveOf(...leases: Lease[]): Reserve {
  return {
    get evictableBytes() {
      return leases.reduce((sum, { capacity, segmentBytes }) => sum + capacity * segmentBytes, 0);
    },
    evict() {
      const lease = leases.shift();
      lease?.close();
      return lease !== undefined;
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  promise.catch(() => {});
  return Promise.race([promise.then(() => false), turn().then(() => true)]);
}

test('a lease gives its segments one by one and takes them back until it is closed', async () => {
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

test('a segment that is retained stays until its last reader has gone, and is overwritten then', async () => {
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

test('releasing twice, or retaining after the last release, is an error and not a reuse', async () => {
  const { lease } = open(8);
  const segment = (await lease(1)).take()!;
  segment.release();
  expect(() => segment.release()).toThrow(expect.objectContaining({ code: 'internal' }));
  expect(() => segment.retain()).toThrow(expect.objectContaining({ code: 'internal' }));
});

test('small leases are charged by 64 KiB', async () => {
  const { memory } = open(8);
  const lease = await memory.lease(100_000, 'window', 'new', NEVER);
  expect(memory.usedBytes).toBe(2 * SMALL_SEGMENT_BYTES);
  expect(lease.segmentBytes).toBe(SMALL_SEGMENT_BYTES);
});

test('memory that was given back is used again', async () => {
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

describe('shares', () => {
  test('fills leave an eighth to the windows', async () => {
    const { memory, lease } = open(8);
    await lease(7, 'fill');
    expect(memory.tryLease(SEGMENT_BYTES, 'fill')).toBeUndefined();
    expect(memory.tryLease(SEGMENT_BYTES, 'window')).toBeDefined();
  });

  test('what could never fit is refused at once', async () => {
    const { lease } = open(8);
    await expect(lease(8, 'fill')).rejects.toMatchObject({ code: 'overloaded' });
    await expect(lease(9)).rejects.toMatchObject({ code: 'overloaded' });
  });

  test('what may go under pressure goes before anybody waits', async () => {
    const { memory, lease } = open(8);
    const tier = await lease(6, 'fill');
    const asked: number[] = [];
    memory.onPressure({
      evictableBytes: 0,
      evict(neededBytes) {
        asked.push(neededBytes / SEGMENT_BYTES);
        tier.close();
        return true;
      },
    });
    await lease(4, 'fill');
    expect(asked).toEqual([3]);
  });
});

describe('queues', () => {
  test('a class is served in the order it came, all or nothing', async () => {
    const { lease } = open(4);
    const held = await lease(4);
    const large = lease(3);
    const small = lease(1);
    expect(await isPending(large)).toBe(true);
    expect(await isPending(small)).toBe(true);
    held.close();
    (await large).close();
    await small;
  });

  test('nobody new is admitted while a started response waits', async () => {
    const { memory, lease } = open(4);
    const held = await lease(3);
    const started = lease(4, 'window', 'started');
    const fresh = lease(1, 'window', 'new');
    expect(await isPending(fresh)).toBe(true);
    expect(memory.tryLease(SEGMENT_BYTES, 'window')).toBeUndefined();
    held.close();
    expect(await isPending(fresh)).toBe(true);
    (await started).close();
    await fresh;
  });

  test('a new request is told to come back after 5 s, a started one after 60 s', async () => {
    const { clock, memory, lease } = open(4);
    await lease(4);
    const fresh = lease(1, 'window', 'new');
    const started = lease(1, 'window', 'started');
    fresh.catch(() => {});
    started.catch(() => {});
    await clock.advance(5_000);
    await expect(fresh).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    expect(await isPending(started)).toBe(true);
    await clock.advance(55_000);
    await expect(started).rejects.toMatchObject({ code: 'overloaded' });
    expect([memory.waiting('new'), memory.waiting('started'), clock.pending()]).toEqual([0, 0, 0]);
  });

  test('who leaves makes room for those behind', async () => {
    const { memory, lease } = open(4);
    await lease(2);
    const gone = new AbortController();
    const large = lease(4, 'window', 'new', gone.signal);
    const small = lease(2);
    expect(await isPending(small)).toBe(true);
    gone.abort(new OrcaError('cancelled', 'gone'));
    await expect(large).rejects.toMatchObject({ code: 'cancelled' });
    await small;
    expect(memory.usedBytes).toBe(4 * SEGMENT_BYTES);
  });

  test('a queue has an end', async () => {
    const { lease } = open(1);
    await lease(1);
    for (let i = 0; i < 4_096; i++) lease(1).catch(() => {});
    await expect(lease(1)).rejects.toMatchObject({ code: 'overloaded' });
  });
});

test('what is reclaimed for the first in the queue goes to nobody else on the way', async () => {
  const { memory, lease } = open(4);
  const kept = await lease(3, 'fill');
  const held = await lease(1);
  const first = lease(2);
  const second = lease(3);
  expect(await isPending(first)).toBe(true);
  memory.onPressure(reserveOf(kept));
  held.close();
  expect(await isPending(first)).toBe(false);
  expect(await isPending(second)).toBe(true);
  expect(memory.usedBytes).toBe(2 * SEGMENT_BYTES);
  (await first).close();
  expect(await isPending(second)).toBe(false);
});

test('what was reclaimed beyond one need goes to those who wait, at once', async () => {
  const { memory, lease } = open(8);
  const kept = await lease(5, 'fill');
  await lease(2);
  // More than there is, but not more than fills may ever have: it waits, and what is kept is not to be had yet.
  const fresh = lease(4, 'fill', 'new');
  expect(await isPending(fresh)).toBe(true);
  memory.onPressure(reserveOf(kept));
  const started = await lease(2, 'window', 'started');
  expect(started.capacity).toBe(2);
  expect(await isPending(fresh)).toBe(false);
  expect(memory.usedBytes).toBe(8 * SEGMENT_BYTES);
});

test('a chunk that a slow socket still reads does not keep the next one from going', async () => {
  const { memory, lease } = open(8);
  const read = await lease(4, 'fill');
  const segments = [read.take()!, read.take()!, read.take()!, read.take()!];
  memory.onPressure(reserveOf(read, await lease(3, 'fill')));
  expect((await lease(3, 'fill')).capacity).toBe(3);
  for (const segment of segments) segment.release();
  expect(memory.usedBytes).toBe(3 * SEGMENT_BYTES);
});

test('what goes under pressure is memory to spare', async () => {
  const { memory, lease } = open(8);
  const kept = await lease(5, 'fill');
  expect(memory.isRelaxed).toBe(false);
  memory.onPressure(reserveOf(kept));
  expect(memory.isRelaxed).toBe(true);
  const wide = (await lease(1)) satisfies Lease;
  await lease(2);
  expect(wide.grow()).toBe(true);
  expect(memory.usedBytes).toBe(4 * SEGMENT_BYTES);
});

test('memory is scarce with less than a quarter to spare, what goes under pressure included', async () => {
  const { memory, lease } = open(8);
  const kept = await lease(6, 'fill');
  expect([memory.isRelaxed, memory.isScarce]).toEqual([false, false]);
  const last = await lease(1);
  expect(memory.isScarce).toBe(true);
  memory.onPressure(reserveOf(kept));
  expect(memory.isScarce).toBe(false);
  last.close();
});

test('what lies between small segments that are in use is for small ones only, until they are back', async () => {
  const { memory, lease } = open(2);
  const small = await Promise.all(
    Array.from({ length: 17 }, () => memory.lease(SMALL_SEGMENT_BYTES, 'window', 'new', NEVER)),
  );
  const pieces = small.map((one) => one.take()!);
  small.forEach((one) => one.close());
  // Sixteen of one large segment, one of the other.
  pieces.slice(1).forEach((piece) => piece.release());
  expect(memory.usedBytes).toBe(SMALL_SEGMENT_BYTES);
  expect(memory.tryLease(2 * SEGMENT_BYTES, 'window')).toBeUndefined();
  const both = lease(2);
  expect(await isPending(both)).toBe(true);
  const another = memory.leaseSmall();
  const neighbour = another?.take();
  expect(neighbour?.bytes.length).toBe(SMALL_SEGMENT_BYTES);
  pieces[0]?.release();
  another?.close();
  expect(await isPending(both)).toBe(true);
  neighbour?.release();
  expect((await both).capacity).toBe(2);
});
