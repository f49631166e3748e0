/** What the parts of the capacity room share, for tests of single parts: one replica on a fake clock and a fake store. */
import { DEFAULT_CAPACITY, type CapacitySettings } from '#cache/core/capacity/settings.ts';
import { Obstacles } from '#cache/engine/capacity/obstacles.ts';
import { Shards } from '#cache/engine/capacity/shards.ts';
import { StoreCalls } from '#cache/engine/capacity/store-calls.ts';
import { StoreTime } from '#cache/engine/capacity/store-time.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { countingObserver, emptyCounts, peerSet } from './engines.ts';
import { fakeChunkStore } from './fake-chunk-store.ts';
import { fakeClock } from './fake-clock.ts';

export const MINUTE_MS = 60_000;
export const { signal: NEVER } = new AbortController();

export function capacityRoom(settings: Partial<CapacitySettings> = {}, peers = 1) {
  const clock = fakeClock();
  const store = fakeChunkStore({ clock });
  const counts = emptyCounts();
  const observer = countingObserver(counts);
  const obstacles = new Obstacles(observer);
  const guarded = guardStore(store, clock);
  const calls = new StoreCalls(guarded, clock, obstacles, observer);
  const addresses = Array.from({ length: peers }, (_, at) => `10.0.0.${at + 1}:8444` as PeerAddress);
  const view = { current: peerSet(addresses[0]!, addresses) };
  const shards = new Shards(
    {
      current: () => view.current,
      onChange: () => () => {},
      ready: async () => {},
      staleMs: () => 0,
      close: async () => {},
    },
    'test',
  );
  const current = { ...DEFAULT_CAPACITY, ...settings };
  const room = {
    originId: 'test',
    clock,
    observer,
    random: () => 0.5,
    settings: () => current,
    calls,
    time: new StoreTime({ originId: 'test', calls, clock }),
    shards,
  };
  return { room, clock, store, guarded, counts, obstacles, addresses, view };
}
