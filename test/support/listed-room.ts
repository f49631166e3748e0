/** The room of a bounded cachestore in one replica, on a ListedStore and a fake clock. */
import { DEFAULT_CAPACITY } from '#cache/core/capacity/settings.ts';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { openCapacity } from '#cache/engine/capacity/capacity.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { ORIGIN_ID } from './capacity.ts';
import { countingObserver, emptyCounts, peerSet } from './engines.ts';
import { fakeClock } from './fake-clock.ts';
import { ListedStore } from './listed-store.ts';

const SELF = '10.0.0.1:8444' as PeerAddress;
const HOUR_MS = 60 * 60_000;

export interface ListedRoomOptions {
  readonly chunkBytes: number;
  readonly capacityBytes: number;
}

export function listedRoom({ chunkBytes, capacityBytes }: ListedRoomOptions) {
  const clock = fakeClock();
  const store = new ListedStore({ originId: ORIGIN_ID, sizeBytes: chunkBytes, date: () => clock.date() });
  const counts = emptyCounts();
  const settings = { ...DEFAULT_CAPACITY, capacityBytes };
  const view = peerSet(SELF, [SELF]);
  const alone = () => Promise.reject(new Error('there is one replica'));
  const capacity = openCapacity({
    originId: ORIGIN_ID,
    chunking: { sizeBytes: chunkBytes, tiers: [] },
    store: guardStore(store.asStore(), clock),
    peers: {
      current: () => view,
      onChange: () => () => {},
      ready: async () => {},
      staleMs: () => 0,
      close: async () => {},
    },
    peerClient: { reads: alone, usage: alone },
    clock,
    observer: countingObserver(counts),
    random: () => 0.5,
    settings: () => settings,
    staleIfErrorMs: HOUR_MS,
    mayDelete: () => true,
    isFull: () => false,
    onRoom: () => {},
    onEvicted: () => {},
  });
  return { clock, store, counts, capacity };
}

export function pathIn(versionHex: string, index: number): ChunkPath {
  return `${ORIGIN_ID}/${versionHex}/${index}` as ChunkPath;
}
