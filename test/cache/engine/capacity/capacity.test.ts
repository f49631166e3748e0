import { afterEach, describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import {
  capacityRooms,
  CHUNK_BYTES,
  HOUR_MS,
  MINUTE_MS,
  pathOf,
  versionOf,
  type Rooms,
  type RoomsOptions,
} from '#test/support/capacity-rooms.ts';

let opened: Rooms[] = [];

afterEach(async () => {
  for (const rooms of opened) await rooms.close();
  opened = [];
});

const CAPACITY_BYTES = 100 * CHUNK_BYTES;
/** Fast enough for a test of some rounds: an eviction takes a minute, a regular round ten. */
const SETTINGS = { capacityBytes: CAPACITY_BYTES, minAgeMs: MINUTE_MS, sweepIntervalMs: 10 * MINUTE_MS };

/** The rooms are running, and `chunks` chunks were stored, half a minute after each other. */
async function filled(chunks: number, { settings, ...options }: RoomsOptions = {}): Promise<Rooms> {
  const rooms = capacityRooms({ settings: { ...SETTINGS, ...settings }, ...options });
  opened.push(rooms);
  rooms.start();
  for (let number = 0; number < chunks; number++) {
    rooms.commit(number);
    await rooms.clock.advance(MINUTE_MS / 30);
  }
  return rooms;
}

const denied = (what: string) => new OrcaError('store_unavailable', `no permission to ${what}`, { status: 403 });

describe('a cachestore with more than its capacity', () => {
  it.each([1, 2, 3])('shrinks to the low watermark, with %i replicas', async (replicas) => {
    const rooms = await filled(150, { replicas });
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeGreaterThan(72 * CHUNK_BYTES);
    expect(rooms.evictedBytes('capacity')).toBe(150 * CHUNK_BYTES - rooms.usedBytes());
    for (const { capacity } of rooms.replicas)
      expect(capacity.account()).toMatchObject({
        state: 'ok',
        usedBytes: rooms.usedBytes(),
        chunks: rooms.store.paths().length,
        capacityBytes: CAPACITY_BYTES,
        coveredShards: 256,
      });
  });
});
