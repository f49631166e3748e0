import { afterEach, describe, expect, it } from 'vitest';
import { decodePublishedUsage, encodePublishedUsage } from '#cache/core/capacity/usage-codec.ts';
import { chunkPathPrefix, type ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import {
  capacityRooms,
  CHUNK_BYTES,
  HOUR_MS,
  MINUTE_MS,
  pathOf,
  versionOf,
  type RoomReplica,
  type Rooms,
  type RoomsOptions,
} from '#test/support/capacity-rooms.ts';
import { peerSet } from '#test/support/engines.ts';

let opened: Rooms[] = [];

afterEach(async () => {
  for (const rooms of opened) await rooms.close();
  opened = [];
});

const CAPACITY_BYTES = 100 * CHUNK_BYTES;
/** Fast enough for a test of some rounds: an eviction takes a minute, a regular round ten. */
const SETTINGS = { capacityBytes: CAPACITY_BYTES, minAgeMs: MINUTE_MS, sweepIntervalMs: 10 * MINUTE_MS };

/** The rooms are running, and `chunks` chunks were stored in the first minute. */
async function filled(chunks: number, { settings, ...options }: RoomsOptions = {}): Promise<Rooms> {
  const rooms = capacityRooms({ settings: { ...SETTINGS, ...settings }, ...options });
  opened.push(rooms);
  rooms.start();
  for (let number = 0; number < chunks; number++) {
    rooms.commit(number);
    if (number % 10 === 9) await rooms.clock.advance(MINUTE_MS / 30);
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

  it('evicts what was read the longest time ago first', async () => {
    const rooms = await filled(80);
    await rooms.clock.advance(20 * MINUTE_MS);
    // Read again, in two different minutes.
    for (let number = 0; number < 40; number++) rooms.read(number);
    await rooms.clock.advance(2 * MINUTE_MS);
    for (let number = 80; number < 120; number++) rooms.commit(number);
    await rooms.clock.advance(15 * MINUTE_MS);
    const left = (from: number, to: number): number =>
      Array.from({ length: to - from }, (_, at) => from + at).filter((number) => rooms.has(number)).length;
    expect(left(0, 40)).toBe(40);
    expect(left(40, 80)).toBeLessThanOrEqual(2);
    expect(left(80, 120)).toBeGreaterThanOrEqual(38);
  });

  it('evicts nothing that is younger than minAge', async () => {
    const rooms = await filled(150, { settings: { minAgeMs: 20 * MINUTE_MS } });
    await rooms.clock.advance(15 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(150);
    expect(rooms.replicas[0]!.capacity.account()).toMatchObject({
      state: 'over_capacity',
      blocked: 'nothing_evictable',
    });
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });

  it('evicts nothing below the high watermark', async () => {
    const rooms = await filled(90);
    await rooms.clock.advance(25 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(90);
    expect(rooms.replicas[0]!.counts.evictedBytes).toEqual({});
  });

  it('counts what no replica has reported, with the next sweep', async () => {
    const rooms = capacityRooms({ settings: SETTINGS });
    opened.push(rooms);
    for (let number = 0; number < 150; number++) rooms.commit(number, { isLost: true });
    await rooms.clock.advance(5 * MINUTE_MS);
    rooms.start();
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });

  it('follows a capacity that is lowered at run time', async () => {
    const rooms = await filled(85);
    await rooms.clock.advance(5 * MINUTE_MS);
    rooms.settings.current = { ...rooms.settings.current, capacityBytes: 50 * CHUNK_BYTES };
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(41 * CHUNK_BYTES);
  });

  it('counts every chunk once, however late its commit is reported', async () => {
    const rooms = await filled(40, { replicas: 2 });
    const { capacity } = rooms.replicas[0]!;
    for (let minute = 0; minute < 15; minute++) {
      rooms.commit(100 + minute);
      await rooms.clock.advance(MINUTE_MS);
      const { coveredShards, usedBytes } = capacity.account();
      if (coveredShards === 256) expect(usedBytes).toBeLessThanOrEqual(rooms.usedBytes());
    }
    await rooms.clock.advance(2 * MINUTE_MS);
    expect(capacity.account().usedBytes).toBe(rooms.usedBytes());
  });

  it('calls the cachestore at most twice at once, and lists nothing else than its own shards and small objects', async () => {
    const rooms = capacityRooms({ settings: SETTINGS, replicas: 1 });
    opened.push(rooms);
    let running = 0;
    let most = 0;
    const prefixes = new Set<string>();
    const counted = async <T>(call: () => Promise<T>): Promise<T> => {
      most = Math.max(most, ++running);
      await rooms.clock.sleep(50);
      try {
        return await call();
      } finally {
        running--;
      }
    };
    rooms.faults.store = (port) => ({
      ...port,
      list: (prefix, ...args) => counted(() => port.list((prefixes.add(prefix), prefix), ...args)),
      remove: (...args) => counted(() => port.remove(...args)),
      getSmall: (...args) => counted(() => port.getSmall(...args)),
      putSmall: (...args) => counted(() => port.putSmall(...args)),
    });
    rooms.start();
    for (let number = 0; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(most).toBe(2);
    expect([...prefixes].filter((prefix) => !/^(test\/[0-9a-f]{2}$|_orca\/)/.test(prefix))).toEqual([]);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });
});

describe('chunks that are idle', () => {
  it('go after maxIdle, without a capacity', async () => {
    const rooms = await filled(20, { settings: { capacityBytes: undefined, maxIdleMs: 30 * MINUTE_MS } });
    await rooms.clock.advance(20 * MINUTE_MS);
    for (let number = 0; number < 10; number++) rooms.read(number);
    await rooms.clock.advance(22 * MINUTE_MS);
    expect(rooms.store.paths().toSorted()).toEqual(Array.from({ length: 10 }, (_, at) => pathOf(at)).toSorted());
    expect(rooms.evictedBytes('idle')).toBe(10 * CHUNK_BYTES);
  });

  it.each([20, -20])(
    'stay for maxIdle after a read by a replica whose clock differs by %i minutes',
    async (minutes) => {
      const settings = { capacityBytes: undefined, maxIdleMs: 30 * MINUTE_MS };
      const rooms = await filled(20, { settings, storeAheadMs: minutes * MINUTE_MS });
      await rooms.clock.advance(10 * MINUTE_MS);
      for (let number = 0; number < 20; number++) rooms.read(number);
      await rooms.clock.advance(28 * MINUTE_MS);
      expect(rooms.store.paths()).toHaveLength(20);
      await rooms.clock.advance(40 * MINUTE_MS);
      expect(rooms.store.paths()).toEqual([]);
    },
  );
});

describe('pinned versions', () => {
  const pin = (rooms: Rooms, from: number, to: number, expiresMs: number | null = null): Promise<void> =>
    rooms.replicas[0]!.capacity.pins.put(
      {
        name: 'base',
        expiresMs,
        versions: Array.from({ length: to - from }, (_, at) => ({
          versionHex: versionOf(from + at),
          sizeBytes: CHUNK_BYTES,
        })),
      },
      new AbortController().signal,
    );

  it('stay, although they were read the longest time ago', async () => {
    const rooms = await filled(80);
    await pin(rooms, 0, 30);
    for (let number = 80; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(Array.from({ length: 30 }, (_, at) => at).filter((number) => !rooms.has(number))).toEqual([]);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
    expect(rooms.replicas[0]!.capacity.account().pinnedBytes).toBe(30 * CHUNK_BYTES);
  });

  it('may go once the pin has expired or is removed', async () => {
    const rooms = await filled(20);
    const { pins } = rooms.replicas[0]!.capacity;
    const { signal } = new AbortController();
    await pin(rooms, 0, 20, rooms.clock.date() + HOUR_MS);
    expect(await pins.list(signal)).toMatchObject([{ name: 'base', versions: 20, sizeBytes: 20 * CHUNK_BYTES }]);
    rooms.settings.current = { ...rooms.settings.current, maxIdleMs: 30 * MINUTE_MS };
    await rooms.clock.advance(55 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(20);
    await rooms.clock.advance(25 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(0);
    expect(await pins.list(signal)).toEqual([]);
    expect(rooms.store.smallNames().filter((name) => name.startsWith('_orca/pins/'))).toEqual([]);
  });

  it('keep all chunks of a shard if a pin is unreadable', async () => {
    const rooms = capacityRooms({ settings: SETTINGS });
    opened.push(rooms);
    for (let shard = 0; shard < 256; shard++)
      await rooms.store.putSmall(`_orca/pins/bad/${shard.toString(16).padStart(2, '0')}`, new Uint8Array(3), {
        signal: new AbortController().signal,
      });
    rooms.start();
    for (let number = 0; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(150);
    expect(rooms.replicas[0]!.capacity.account()).toMatchObject({ state: 'over_capacity' });
    expect(rooms.replicas[0]!.capacity.account().blocked).toMatch(/pin _orca\/pins\/bad\/.. is unreadable/);
    expect(rooms.replicas[0]!.counts.warnings).toEqual(['cachestore: nothing can be evicted']);
  });

  it('that are pinned just before they are deleted stay', async () => {
    const rooms = await filled(150, { settings: { minAgeMs: 10 * MINUTE_MS } });
    let isPinned = false;
    rooms.faults.store = (port) => ({
      ...port,
      // Pinned after the shard was listed.
      async list(prefix, cursor, call) {
        const page = await rooms.store.list(prefix, cursor, call);
        if (prefix.startsWith('test/') && page.entries.length > 0 && !isPinned) {
          isPinned = true;
          await pin(rooms, 0, 150);
        }
        return page;
      },
    });
    rooms.restart(rooms.replicas[0]!);
    await rooms.clock.advance(25 * MINUTE_MS);
    expect(isPinned).toBe(true);
    expect(rooms.store.paths()).toHaveLength(150);
  });

  it('may have maxPinned of the capacity', async () => {
    const rooms = await filled(10);
    const { pins } = rooms.replicas[0]!.capacity;
    const { signal } = new AbortController();
    await pin(rooms, 0, 10);
    await rooms.clock.advance(6 * MINUTE_MS);
    await expect(pins.requireRoom('other', 40 * CHUNK_BYTES, signal)).resolves.toBeUndefined();
    await expect(pins.requireRoom('base', 50 * CHUNK_BYTES, signal)).resolves.toBeUndefined();
    await expect(pins.requireRoom('other', 41 * CHUNK_BYTES, signal)).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('has 4100 bytes, and other pins have 1000: at most 5000 bytes may be pinned'),
    });
  });
});

describe('superseded versions', () => {
  const version = (etag: string) => ({ originId: 'test', bucket: 'b', key: 'k', etag, sizeBytes: CHUNK_BYTES });
  const chunkOf = (etag: string) => ({ path: `${chunkPathPrefix(version(etag), CHUNK_BYTES)}0` as ChunkPath });

  async function superseded(replicas = 1): Promise<Rooms> {
    const rooms = await filled(5, { replicas, settings: { capacityBytes: undefined } });
    rooms.store.plant(chunkOf('old'), new Uint8Array(CHUNK_BYTES));
    await rooms.clock.advance(2 * MINUTE_MS);
    rooms.replicas[0]!.capacity.superseded(version('old'));
    return rooms;
  }

  it.each([1, 3])('go after minAge, with %i replicas', async (replicas) => {
    const rooms = await superseded(replicas);
    rooms.store.plant(chunkOf('new'), new Uint8Array(CHUNK_BYTES));
    await rooms.clock.advance(4 * MINUTE_MS);
    expect(rooms.store.paths()).not.toContain(chunkOf('old').path);
    expect(rooms.store.paths()).toContain(chunkOf('new').path);
    expect(rooms.evictedBytes('superseded')).toBe(CHUNK_BYTES);
  });

  it('stay while clients read them', async () => {
    const rooms = await superseded();
    rooms.settings.current = { ...rooms.settings.current, minAgeMs: 4 * MINUTE_MS };
    for (let minute = 0; minute < 10; minute++) {
      rooms.replicas[0]!.capacity.touch(chunkOf('old').path, 'b');
      await rooms.clock.advance(MINUTE_MS);
    }
    expect(rooms.store.paths()).toContain(chunkOf('old').path);
    await rooms.clock.advance(6 * MINUTE_MS);
    expect(rooms.store.paths()).not.toContain(chunkOf('old').path);
  });

  it('stay if they are pinned', async () => {
    const rooms = await superseded();
    const versionHex = chunkOf('old').path.split('/')[1]!;
    await rooms.replicas[0]!.capacity.pins.put(
      { name: 'p', expiresMs: null, versions: [{ versionHex, sizeBytes: CHUNK_BYTES }] },
      new AbortController().signal,
    );
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.store.paths()).toContain(chunkOf('old').path);
  });
});

describe('several replicas', () => {
  it('lost reports cost precision only', async () => {
    const rooms = await filled(10, { replicas: 3 });
    rooms.replicas[1]!.isDead = true;
    for (let number = 10; number < 150; number++) rooms.commit(number);
    // Until the other replicas notice, its shards are not counted.
    await rooms.clock.advance(5 * MINUTE_MS);
    rooms.setOwners([rooms.replicas[0]!, rooms.replicas[2]!]);
    await rooms.clock.advance(15 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });

  it('owners may change at any time', async () => {
    const rooms = await filled(150, { replicas: 3 });
    const [a, b, c] = rooms.replicas as [RoomReplica, RoomReplica, RoomReplica];
    for (const owners of [[a], [a, b], [b, c], [c], [a, b, c]]) {
      await rooms.clock.advance(23_000);
      rooms.setOwners(owners);
    }
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeGreaterThan(70 * CHUNK_BYTES);
    expect(a.capacity.account().usedBytes).toBe(rooms.usedBytes());
  });

  it('that see different owners delete the same chunks, and nothing else', async () => {
    const rooms = await filled(85, { replicas: 2 });
    // Each believes that it is alone.
    for (const replica of rooms.replicas) replica.view = peerSet(replica.address, [replica.address]);
    await rooms.clock.advance(15 * MINUTE_MS);
    rooms.settings.current = { ...rooms.settings.current, capacityBytes: 90 * CHUNK_BYTES };
    await rooms.clock.advance(5 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeGreaterThan(60 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(74 * CHUNK_BYTES);
  });

  it('reads move with their shards, when a replica joins', async () => {
    const rooms = await filled(80, { replicas: 2 });
    const [first] = rooms.replicas as [RoomReplica, RoomReplica];
    rooms.setOwners([first]);
    await rooms.clock.advance(20 * MINUTE_MS);
    for (let number = 0; number < 40; number++) rooms.read(number, first);
    await rooms.clock.advance(MINUTE_MS + 1);
    rooms.setOwners(rooms.replicas);
    for (let number = 80; number < 120; number++) rooms.commit(number);
    await rooms.clock.advance(20 * MINUTE_MS);
    expect(Array.from({ length: 40 }, (_, at) => at).filter((number) => !rooms.has(number))).toEqual([]);
  });

  it('a new owner knows the last sweep, and counts at once', async () => {
    const rooms = await filled(50, { replicas: 2 });
    const [first, second] = rooms.replicas as [RoomReplica, RoomReplica];
    rooms.setOwners([first]);
    await rooms.clock.advance(12 * MINUTE_MS);
    const { lists } = rooms.store.counts;
    rooms.setOwners([second]);
    await rooms.clock.advance(7_500);
    expect(second.capacity.account()).toMatchObject({ coveredShards: 256, usedBytes: rooms.usedBytes() });
    expect(rooms.store.counts.lists - lists).toBeLessThan(100);
  });
});

describe('failures', () => {
  it('a process that ends between a deletion and the write of the ledger changes nothing', async () => {
    const rooms = await filled(120);
    const replica = rooms.replicas[0]!;
    let crashes = 0;
    rooms.faults.store = (port) => ({
      ...port,
      async remove(names, call) {
        const removal = await rooms.store.remove(names, call);
        if (crashes++ < 10) setImmediate(() => rooms.restart(replica));
        return removal;
      },
    });
    rooms.restart(replica);
    await rooms.clock.advance(20 * MINUTE_MS);
    expect(crashes).toBeGreaterThan(5);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeGreaterThan(70 * CHUNK_BYTES);
    expect(replica.capacity.account().usedBytes).toBe(rooms.usedBytes());
  });

  it('a cachestore that denies deletions is reported once, and everything is still counted', async () => {
    const rooms = await filled(1);
    rooms.store.inject({ on: 'remove', times: Infinity, error: denied('delete') });
    for (let number = 1; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(20 * MINUTE_MS);
    const { capacity, counts } = rooms.replicas[0]!;
    expect(capacity.account()).toMatchObject({
      state: 'over_capacity',
      usedBytes: 150 * CHUNK_BYTES,
      blocked: 'the cachestore does not permit to delete: no permission to delete',
    });
    expect(counts.warnings).toEqual(['cachestore: nothing can be evicted']);
  });

  it('a cachestore that denies lists is reported once, and is tried less and less', async () => {
    const rooms = capacityRooms({ settings: SETTINGS });
    opened.push(rooms);
    rooms.store.inject({ on: 'list', times: Infinity, error: denied('list') });
    rooms.start();
    await rooms.clock.advance(HOUR_MS);
    const { capacity, counts } = rooms.replicas[0]!;
    expect(capacity.account()).toMatchObject({ state: 'counting', blocked: expect.stringContaining('to list') });
    expect(counts.warnings).toEqual(['cachestore: nothing can be evicted']);
    expect(rooms.store.counts.lists).toBeLessThan(60);
  });

  it('a part of a batch that is refused stays counted, and is tried again', async () => {
    const rooms = await filled(150);
    for (let number = 0; number < 20; number++)
      rooms.store.inject({ on: 'remove', path: pathOf(number), error: new OrcaError('store_unavailable', 'busy') });
    await rooms.clock.advance(15 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
    expect(rooms.replicas[0]!.capacity.account().usedBytes).toBe(rooms.usedBytes());
  });

  it('a cachestore that fails now and then is swept all the same', async () => {
    const rooms = await filled(150);
    for (const on of ['list', 'small', 'remove'] as const)
      rooms.store.inject({ on, times: 5, error: new OrcaError('store_unavailable', 'down') });
    await rooms.clock.advance(30 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });

  it.each([-3, 3])('a clock that is wrong by %i hours protects nothing and endangers nothing', async (hours) => {
    const rooms = await filled(1, { replicas: 2, settings: { minAgeMs: 5 * MINUTE_MS } });
    for (const replica of rooms.replicas) replica.offsetMs = hours * HOUR_MS;
    await rooms.clock.advance(10 * MINUTE_MS);
    for (let number = 1; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(5 * MINUTE_MS - 1);
    expect(rooms.store.paths().filter((path) => path !== pathOf(0))).toHaveLength(149);
    await rooms.clock.advance(10 * MINUTE_MS);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });

  it('nothing is deleted before the identity of the origin is known', async () => {
    const rooms = await filled(1);
    rooms.replicas[0]!.isDead = true;
    for (let number = 1; number < 150; number++) rooms.commit(number);
    await rooms.clock.advance(20 * MINUTE_MS);
    expect(rooms.store.paths()).toHaveLength(150);
  });
});

describe('a full cachestore', () => {
  it('gets some room at once, without a capacity', async () => {
    const rooms = await filled(100, { settings: { capacityBytes: undefined, sweepIntervalMs: 6 * HOUR_MS } });
    await rooms.clock.advance(HOUR_MS);
    const replica = rooms.replicas[0]!;
    expect(rooms.store.paths()).toHaveLength(100);
    replica.isFull = true;
    replica.capacity.full();
    await rooms.clock.advance(10_000);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(95 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeGreaterThan(90 * CHUNK_BYTES);
    expect(replica.wakes).toBeGreaterThan(0);
    expect(rooms.evictedBytes('full')).toBeGreaterThan(0);
  });

  it('is not emptied further because a replica has not noticed that there is room', async () => {
    const rooms = await filled(100, { settings: { capacityBytes: undefined, sweepIntervalMs: 6 * HOUR_MS } });
    await rooms.clock.advance(HOUR_MS);
    const replica = rooms.replicas[0]!;
    replica.isFull = true;
    replica.capacity.full();
    await rooms.clock.advance(HOUR_MS);
    expect(rooms.usedBytes()).toBeGreaterThan(90 * CHUNK_BYTES);
    expect(replica.capacity.account().state).toBe('ok');
  });

  it('gets more room while it remains full', async () => {
    const rooms = await filled(100, { settings: { capacityBytes: undefined, sweepIntervalMs: 6 * HOUR_MS } });
    await rooms.clock.advance(HOUR_MS);
    const replica = rooms.replicas[0]!;
    replica.isFull = true;
    for (let at = 0; at < 10; at++) {
      replica.capacity.full();
      await rooms.clock.advance(30_000);
    }
    expect(rooms.usedBytes()).toBeLessThanOrEqual(87 * CHUNK_BYTES);
  });

  it('gets some room although it does not take the small objects of a sweep either', async () => {
    const rooms = capacityRooms({ settings: { ...SETTINGS, capacityBytes: undefined } });
    opened.push(rooms);
    const replica = rooms.replicas[0]!;
    const diskBytes = 100 * CHUNK_BYTES;
    rooms.faults.store = (port) => ({
      ...port,
      putSmall: (...args) => {
        if (rooms.usedBytes() < diskBytes) return port.putSmall(...args);
        throw new OrcaError('store_unavailable', 'no space left', { status: 507 });
      },
    });
    for (let number = 0; number < 100; number++) rooms.commit(number, { isLost: true });
    await rooms.clock.advance(5 * MINUTE_MS);
    rooms.start();
    replica.isFull = true;
    for (let at = 0; at < 8; at++) {
      replica.capacity.full();
      await rooms.clock.advance(30_000);
    }
    expect(rooms.usedBytes()).toBeLessThanOrEqual(95 * CHUNK_BYTES);
  });
});

describe('a file system', () => {
  it('counts with its size as soon as something may be deleted', async () => {
    const rooms = capacityRooms({ settings: { ...SETTINGS, capacityBytes: undefined } });
    opened.push(rooms);
    rooms.faults.store = (port) => ({ ...port, totalBytes: async () => CAPACITY_BYTES });
    const replica = rooms.replicas[0]!;
    replica.isDead = true;
    rooms.start();
    await rooms.clock.advance(5_000);
    replica.isDead = false;
    await rooms.clock.advance(40_000);
    await rooms.clock.advance(MINUTE_MS);
    expect(replica.capacity.account().capacityBytes).toBe(CAPACITY_BYTES);
  });
});

describe('chunks that return', () => {
  it('within a day of their eviction count as refilled', async () => {
    const rooms = await filled(150);
    await rooms.clock.advance(10 * MINUTE_MS);
    const evicted = Array.from({ length: 150 }, (_, at) => at).find((number) => !rooms.has(number))!;
    rooms.commit(evicted);
    await rooms.clock.advance(MINUTE_MS);
    expect(rooms.replicas[0]!.counts.refilledBytes).toBe(CHUNK_BYTES);
    rooms.commit(1_000);
    await rooms.clock.advance(MINUTE_MS);
    expect(rooms.replicas[0]!.counts.refilledBytes).toBe(CHUNK_BYTES);
  });
});

describe('at shutdown', () => {
  it('what was not reported goes to the other replicas', async () => {
    const rooms = await filled(20, { replicas: 2, settings: { capacityBytes: undefined } });
    const [leaving, staying] = rooms.replicas as [RoomReplica, RoomReplica];
    await rooms.clock.advance(20 * MINUTE_MS);
    for (let number = 0; number < 10; number++) rooms.read(number, leaving);
    rooms.setOwners([staying]);
    await leaving.capacity.flush(new AbortController().signal);
    leaving.isDead = true;
    rooms.settings.current = { ...rooms.settings.current, maxIdleMs: 15 * MINUTE_MS };
    await rooms.clock.advance(11 * MINUTE_MS);
    expect(rooms.store.paths().toSorted()).toEqual(Array.from({ length: 10 }, (_, at) => pathOf(at)).toSorted());
  });

  it('the last replica writes it to the ledgers', async () => {
    const rooms = await filled(20, { settings: { capacityBytes: undefined } });
    const replica = rooms.replicas[0]!;
    await rooms.clock.advance(20 * MINUTE_MS);
    for (let number = 0; number < 10; number++) rooms.read(number);
    await replica.capacity.flush(new AbortController().signal);
    rooms.settings.current = { ...rooms.settings.current, maxIdleMs: 15 * MINUTE_MS };
    rooms.restart(replica);
    await rooms.clock.advance(3 * MINUTE_MS);
    expect(rooms.store.paths().toSorted()).toEqual(Array.from({ length: 10 }, (_, at) => pathOf(at)).toSorted());
  });
});

describe('small objects', () => {
  const { signal } = new AbortController();

  it('are deleted when they will not be read again', async () => {
    const rooms = capacityRooms({ settings: SETTINGS, staleIfErrorMs: 2 * HOUR_MS });
    opened.push(rooms);
    const names = {
      old: ['_orca/manifests/test/aa00', '_orca/lists/test/3fff', '_orca/lists/test/bucket-00', '_orca/probe/00'],
      kept: ['_orca/identity/test', '_orca/manifests/other/aa00', '_orca/store-verdict', '_orca/pins/p/00'],
    };
    for (const name of Object.values(names).flat()) await rooms.store.putSmall(name, new Uint8Array(1), { signal });
    await rooms.clock.advance(3 * HOUR_MS + MINUTE_MS);
    const young = ['_orca/manifests/test/aa01', '_orca/lists/test/3ffe'];
    for (const name of young) await rooms.store.putSmall(name, new Uint8Array(1), { signal });
    rooms.start();
    await rooms.clock.advance(3 * MINUTE_MS);
    const left = rooms.store.smallNames();
    expect(names.old.filter((name) => left.includes(name))).toEqual([]);
    expect([...names.kept, ...young].filter((name) => !left.includes(name))).toEqual([]);
  });
});

describe('a store of several caches', () => {
  it('shows what others have, and does not touch it', async () => {
    const rooms = await filled(150);
    const { signal } = new AbortController();
    const foreign = { path: `other/${versionOf(1)}/0` as ChunkPath };
    rooms.store.plant(foreign, new Uint8Array(1));
    const usage = encodePublishedUsage({ originId: 'other', usedBytes: 7_777, chunks: 1, atMs: 1 });
    await rooms.store.putSmall('_orca/usage/other', usage, { signal });
    await rooms.clock.advance(15 * MINUTE_MS);
    expect(rooms.replicas[0]!.capacity.account()).toMatchObject({
      foreignBytes: 7_777,
      usedBytes: rooms.usedBytes() - 1,
    });
    expect(rooms.store.paths()).toContain(foreign.path);
    const own = await rooms.store.getSmall('_orca/usage/test', { signal });
    expect(own && decodePublishedUsage(own)?.originId).toBe('test');
  });

  it('a file system has a capacity of its own, without what others have', async () => {
    const rooms = capacityRooms({ settings: { ...SETTINGS, capacityBytes: undefined } });
    opened.push(rooms);
    rooms.faults.store = (port) => ({ ...port, totalBytes: async () => 150 * CHUNK_BYTES });
    const usage = encodePublishedUsage({ originId: 'other', usedBytes: 50 * CHUNK_BYTES, chunks: 1, atMs: 1 });
    await rooms.store.putSmall('_orca/usage/other', usage, { signal: new AbortController().signal });
    for (let number = 0; number < 150; number++) rooms.commit(number, { isLost: true });
    rooms.start();
    await rooms.clock.advance(15 * MINUTE_MS);
    expect(rooms.replicas[0]!.capacity.account().capacityBytes).toBe(100 * CHUNK_BYTES);
    expect(rooms.usedBytes()).toBeLessThanOrEqual(82 * CHUNK_BYTES);
  });
});
