/**
 * One replica sweeps a cachestore of a million chunks, all of which have been read, and evicts a tenth of them. Prints the
 * CPU time and the memory that this takes. A process of its own, so that nothing else is measured.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { shardPrefix, SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { DEFAULT_CAPACITY } from '#cache/core/capacity/settings.ts';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { openCapacity } from '#cache/engine/capacity/capacity.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { ORIGIN_ID, versionOf } from './capacity.ts';
import { countingObserver, emptyCounts, peerSet } from './engines.ts';
import { fakeClock } from './fake-clock.ts';
import { ListedStore } from './listed-store.ts';

const CHUNKS = Number(process.argv[2] ?? 1_000_000);
/** Files of 64 MiB in chunks of 8 MiB. */
const CHUNKS_PER_VERSION = 8;
const CHUNK_BYTES = 8 * 1024 * 1024;
const HOUR_MS = 60 * 60_000;
const MIB = 1024 * 1024;
/** So many that the log of reads is not full within a minute. */
const READS_PER_MINUTE = 100_000;
const SELF = '10.0.0.1:8444' as PeerAddress;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const clock = fakeClock();
const store = new ListedStore({ originId: ORIGIN_ID, sizeBytes: CHUNK_BYTES, date: () => clock.date() });
const versions = Array.from({ length: CHUNKS / CHUNKS_PER_VERSION }, (_, at) => versionOf(at));
for (const [at, version] of versions.entries())
  for (let index = 0; index < CHUNKS_PER_VERSION; index++) store.put(version, index, clock.date() - HOUR_MS - at);
const counts = emptyCounts();
const settings = { ...DEFAULT_CAPACITY, capacityBytes: CHUNKS * CHUNK_BYTES };
const view = peerSet(SELF, [SELF]);
const stop = new AbortController();
const capacity = openCapacity({
  originId: ORIGIN_ID,
  chunking: { sizeBytes: CHUNK_BYTES, tiers: [] },
  store: guardStore(store.asStore(), clock),
  peers: {
    current: () => view,
    onChange: () => () => {},
    ready: async () => {},
    staleMs: () => 0,
    close: async () => {},
  },
  peerClient: {
    reads: () => Promise.reject(new Error('there is one replica')),
    usage: () => Promise.reject(new Error('there is one replica')),
  },
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

const port = store.asStore();
const walk = async (prefix: string): Promise<void> => {
  const call = { signal: stop.signal };
  let cursor: string | undefined;
  do ({ cursor } = await port.list(prefix, cursor, call));
  while (cursor !== undefined);
};
// Any traffic makes the young generation of the heap grow to its final size.
for (let shard = 0; shard < SHARDS; shard++) await walk(shardPrefix(ORIGIN_ID, shard));
/** Without the ledgers, which a real store would not keep in this process. */
const residentBytes = (): number => process.memoryUsage.rss() - store.smallBytes;
const heldBytes = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external - store.smallBytes;
};
const heldBefore = heldBytes();
const before = residentBytes();
const cpuBefore = process.cpuUsage();
let peak = before;
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage(cpuBefore);
  return (user + system) / 1e6;
};
const sweeps = (): number => Object.values(counts.sweeps).reduce((sum, count) => sum + count, 0);

const running = capacity.run(stop.signal);
let read = 0;
for (let round = 1; round <= 2; round++) {
  while (sweeps() < round * SHARDS) {
    for (let until = Math.min(CHUNKS, read + READS_PER_MINUTE); read < until; read++)
      capacity.touch(`${ORIGIN_ID}/${versions[Math.floor(read / 8)]}/${read % 8}` as ChunkPath, 'bucket');
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      peak = Math.max(peak, residentBytes());
    }
  }
  const { state, usedBytes, coveredShards } = capacity.account();
  process.stdout.write(
    `${JSON.stringify({
      round,
      cpuSeconds: cpuSeconds(),
      addedMiB: (peak - before) / MIB,
      heldMiB: (heldBytes() - heldBefore) / MIB,
      reportedChunks: usedBytes / CHUNK_BYTES,
      storedChunks: store.chunks,
      state,
      coveredShards,
      warnings: counts.warnings,
    })}\n`,
  );
}
stop.abort();
await running;
