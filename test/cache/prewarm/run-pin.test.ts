import { afterEach, describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { NO_PIN, type PinRecord, type RunRecord } from '#cache/prewarm/record.ts';
import type { PrewarmRun } from '#cache/prewarm/resource.ts';
import { RunPin } from '#cache/prewarm/run-pin.ts';
import { capacityRooms, CHUNK_BYTES, MINUTE_MS, pathOf } from '#test/support/capacity-rooms.ts';

const { signal } = new AbortController();
const ORIGIN_ID = 'test';
const NAME = 'llama-6d0c8b7e-1';
const opened: ReturnType<typeof capacityRooms>[] = [];

afterEach(() => {
  for (const { replicas } of opened.splice(0)) for (const { stop } of replicas) stop.abort(new Error('over'));
});

function world() {
  // Room for 10 versions.
  const rooms = capacityRooms({ settings: { capacityBytes: 20 * CHUNK_BYTES, maxPinned: 50 } });
  opened.push(rooms);
  rooms.start();
  const { pins } = rooms.replicas[0]!.capacity;
  const run = {
    uid: '6d0c8b7e-0000-4000-8000-000000000001',
    name: 'llama',
    run: 1,
  } as PrewarmRun;
  const open = (options: { ttlMs?: number; resumed?: PinRecord; previous?: PinRecord } = {}) =>
    new RunPin({
      run: { ...run, pin: { ttlMs: options.ttlMs } },
      pins,
      resumed: options.resumed && ({ pin: options.resumed } as RunRecord),
      previous: options.previous && ({ pin: options.previous } as RunRecord),
      originId: ORIGIN_ID,
      clock: rooms.clock,
    });
  const add = (pin: RunPin, ...numbers: number[]): void => {
    for (const number of numbers)
      pin.add(
        { count: 1, chunkAt: () => ({ path: pathOf(number) }) } as unknown as Parameters<RunPin['add']>[0],
        CHUNK_BYTES,
      );
  };
  return { ...rooms, pins, open, add };
}

describe('the pin of a run', () => {
  it('has the versions that are complete, and expires some time after the run', async () => {
    const { clock, pins, open, add } = world();
    await clock.advance(MINUTE_MS);
    const pin = open({ ttlMs: 10 * MINUTE_MS });
    add(pin, 1, 2);
    await pin.flush(signal);
    expect(await pins.list(signal)).toEqual([{ name: NAME, expiresMs: null, sizeBytes: 2 * CHUNK_BYTES, versions: 2 }]);
    add(pin, 3);
    await pin.flush(signal);
    await pin.finish(signal);
    const [listed] = await pins.list(signal);
    expect(listed).toMatchObject({ name: NAME, sizeBytes: 3 * CHUNK_BYTES, versions: 3 });
    expect((listed?.expiresMs ?? 0) - clock.date()).toBeGreaterThan(9 * MINUTE_MS);
    expect((listed?.expiresMs ?? 0) - clock.date()).toBeLessThanOrEqual(10 * MINUTE_MS);
    expect(pin.record).toEqual({ state: 'pinned', name: NAME, sizeBytes: 3 * CHUNK_BYTES, previous: '', message: '' });
  });

  it('without a ttl stays until it is removed', async () => {
    const { pins, open, add } = world();
    const pin = open();
    add(pin, 1);
    await pin.flush(signal);
    await pin.finish(signal);
    expect(await pins.list(signal)).toMatchObject([{ expiresMs: null }]);
  });

  it('counts a version once that a new walker adds again', async () => {
    const { pins, open, add } = world();
    const first = open();
    add(first, 1, 2, 3);
    await first.flush(signal);
    const second = open({ resumed: first.record });
    add(second, 3, 4);
    await second.flush(signal);
    expect(second.record.sizeBytes).toBe(4 * CHUNK_BYTES);
    expect(await pins.list(signal)).toMatchObject([{ sizeBytes: 4 * CHUNK_BYTES, versions: 4 }]);
  });

  it('replaces the pin of the run before when the run is complete, and not earlier', async () => {
    const { pins, open, add } = world();
    await pins.add('llama-6d0c8b7e-0', [{ versionHex: 'ab'.repeat(32), sizeBytes: 8 * CHUNK_BYTES }], signal);
    const previous: PinRecord = { ...NO_PIN, state: 'pinned', name: 'llama-6d0c8b7e-0' };
    const pin = open({ previous });
    // Both together would be too much.
    add(pin, 1, 2, 3, 4);
    await pin.flush(signal);
    expect((await pins.list(signal)).map(({ name }) => name)).toEqual(['llama-6d0c8b7e-0', NAME]);
    await pin.finish(signal);
    expect((await pins.list(signal)).map(({ name }) => name)).toEqual([NAME]);
  });

  it('is refused with both figures if it is too large, keeps nothing then, and leaves the pin of the run before', async () => {
    const { clock, pins, open, add } = world();
    await clock.advance(6 * MINUTE_MS);
    await pins.add('base', [{ versionHex: 'cd'.repeat(32), sizeBytes: 9 * CHUNK_BYTES }], signal);
    await pins.add('llama-6d0c8b7e-0', [{ versionHex: 'ab'.repeat(32), sizeBytes: CHUNK_BYTES }], signal);
    const pin = open({ previous: { ...NO_PIN, state: 'pinned', name: 'llama-6d0c8b7e-0' } });
    add(pin, 1, 2);
    await pin.flush(signal);
    expect(pin.record).toMatchObject({
      state: 'refused',
      sizeBytes: 0,
      message: expect.stringMatching(/has 200 bytes, and other pins have 900: at most 1000 bytes may be pinned/),
    });
    add(pin, 3);
    await pin.flush(signal);
    await pin.finish(signal);
    expect((await pins.list(signal)).map(({ name }) => name)).toEqual(['base', 'llama-6d0c8b7e-0']);
  });

  it('keeps what could not be written for the next time', async () => {
    const { store, pins, open, add } = world();
    const pin = open();
    add(pin, 1, 2);
    store.down = new OrcaError('store_unavailable', 'the cachestore is down');
    await expect(pin.flush(signal)).rejects.toMatchObject({ code: 'store_unavailable' });
    store.down = undefined;
    await pin.flush(signal);
    expect(await pins.list(signal)).toMatchObject([{ versions: 2 }]);
  });
});
