import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES, type Lease, type Purpose } from '#cache/engine/memory/lease.ts';
import { ChunkMemory, type Reserve } from '#cache/engine/memory/chunk-memory.ts';
import type { Demand } from '#cache/engine/ports.ts';
import { isPending } from '#test/support/engine-checks.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;

function open(segments: number) {
  const clock = fakeClock();
  const memory = new ChunkMemory({ budgetBytes: segments * SEGMENT_BYTES, clock, poison: true });
  const lease = (count: number, purpose: Purpose = 'window', demand: Demand = 'new', signal = NEVER) =>
    memory.lease(count * SEGMENT_BYTES, purpose, demand, signal);
  return { clock, memory, lease };
}

/** Evictable leases: each call evicts the next one as a whole. */
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

describe('shares', () => {
  test('fills leave an eighth of the budget to windows', async () => {
    const { memory, lease } = open(8);
    await lease(7, 'fill');
    expect(memory.tryLease(SEGMENT_BYTES, 'fill')).toBeUndefined();
    expect(memory.tryLease(SEGMENT_BYTES, 'window')).toBeDefined();
  });

  test('a request that could never fit is refused at once', async () => {
    const { lease } = open(8);
    await expect(lease(8, 'fill')).rejects.toMatchObject({ code: 'overloaded' });
    await expect(lease(9)).rejects.toMatchObject({ code: 'overloaded' });
  });

  test('evicts before a caller has to wait', async () => {
    const { memory, lease } = open(8);
    const tier = await lease(6, 'fill');
    const neededSegments: number[] = [];
    memory.onPressure({
      evictableBytes: 0,
      evict(neededBytes) {
        neededSegments.push(neededBytes / SEGMENT_BYTES);
        tier.close();
        return true;
      },
    });
    await lease(4, 'fill');
    expect(neededSegments).toEqual([3]);
  });
});

describe('queues', () => {
  test('grants the requests of one class in order of arrival, each as a whole', async () => {
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

  test('admits no new request while a started response waits', async () => {
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

  test('rejects a new request with Retry-After after 5 s, a started response after 60 s', async () => {
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

  test('an abandoned waiter unblocks the next one', async () => {
    const { memory, lease } = open(4);
    await lease(2);
    const disconnect = new AbortController();
    const large = lease(4, 'window', 'new', disconnect.signal);
    const small = lease(2);
    expect(await isPending(small)).toBe(true);
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(large).rejects.toMatchObject({ code: 'cancelled' });
    await small;
    expect(memory.usedBytes).toBe(4 * SEGMENT_BYTES);
  });

  test('the queue is bounded', async () => {
    const { lease } = open(1);
    await lease(1);
    for (let i = 0; i < 4_096; i++) lease(1).catch(() => {});
    await expect(lease(1)).rejects.toMatchObject({ code: 'overloaded' });
  });
});

test('memory reclaimed for the first waiter is not granted to another one meanwhile', async () => {
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

test('memory reclaimed beyond one need is granted to waiters at once', async () => {
  const { memory, lease } = open(8);
  const kept = await lease(5, 'fill');
  await lease(2);
  // It exceeds the free memory but not the fills' share: it waits, since the reserve is not registered yet.
  const fresh = lease(4, 'fill', 'new');
  expect(await isPending(fresh)).toBe(true);
  memory.onPressure(reserveOf(kept));
  const started = await lease(2, 'window', 'started');
  expect(started.capacity).toBe(2);
  expect(await isPending(fresh)).toBe(false);
  expect(memory.usedBytes).toBe(8 * SEGMENT_BYTES);
});

test('where a slow socket still reads an evicted chunk, the next chunk is evicted too', async () => {
  const { memory, lease } = open(8);
  const read = await lease(4, 'fill');
  const segments = [read.take()!, read.take()!, read.take()!, read.take()!];
  memory.onPressure(reserveOf(read, await lease(3, 'fill')));
  expect((await lease(3, 'fill')).capacity).toBe(3);
  for (const segment of segments) segment.release();
  expect(memory.usedBytes).toBe(3 * SEGMENT_BYTES);
});

test('reports what the first waiting caller lacks, until it has it', async () => {
  const { memory, lease } = open(8);
  const missing: number[] = [];
  const [held, ...others] = [await lease(3), await lease(2), await lease(2)];
  memory.onShortage((bytes) => {
    missing.push(bytes / SEGMENT_BYTES);
    others.pop()?.close();
  });
  const granted = await lease(4);
  expect([missing, granted.capacity]).toEqual([[3, 1], 4]);
  held.close();
  expect(missing).toHaveLength(2);
});

test('evictable memory counts as spare', async () => {
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

test('memory is scarce when less than a quarter of the budget is free or evictable', async () => {
  const { memory, lease } = open(8);
  const kept = await lease(6, 'fill');
  expect([memory.isRelaxed, memory.isScarce]).toEqual([false, false]);
  const last = await lease(1);
  expect(memory.isScarce).toBe(true);
  memory.onPressure(reserveOf(kept));
  expect(memory.isScarce).toBe(false);
  last.close();
});

test('free space between small segments in use serves only small leases, until the segment is whole again', async () => {
  const { memory, lease } = open(2);
  const small = await Promise.all(
    Array.from({ length: 17 }, () => memory.lease(SMALL_SEGMENT_BYTES, 'window', 'new', NEVER)),
  );
  const pieces = small.map((one) => one.take()!);
  small.forEach((one) => one.close());
  // Sixteen pieces of one large segment, one of another.
  pieces.slice(1).forEach((piece) => piece.release());
  expect(memory.usedBytes).toBe(SMALL_SEGMENT_BYTES);
  expect(memory.tryLease(2 * SEGMENT_BYTES, 'window')).toBeUndefined();
  const both = lease(2);
  expect(await isPending(both)).toBe(true);
  const another = memory.leaseSmall();
  const neighbor = another?.take();
  expect(neighbor?.bytes.length).toBe(SMALL_SEGMENT_BYTES);
  pieces[0]?.release();
  another?.close();
  expect(await isPending(both)).toBe(true);
  neighbor?.release();
  expect((await both).capacity).toBe(2);
});
