/**
 * One replica sweeps a cachestore of a million chunks, all of which have been read, and evicts a tenth of them. Prints the
 * CPU time and the memory that this takes. A process of its own, so that nothing else is measured.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { shardPrefix, SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { ORIGIN_ID, versionOf } from './capacity.ts';
import { listedRoom, pathIn } from './listed-room.ts';

const CHUNKS = Number(process.argv[2] ?? 1_000_000);
/** Files of 64 MiB in chunks of 8 MiB. */
const CHUNKS_PER_VERSION = 8;
const CHUNK_BYTES = 8 * 1024 * 1024;
const HOUR_MS = 60 * 60_000;
const MIB = 1024 * 1024;
/** So many that the log of reads is not full within a minute. */
const READS_PER_MINUTE = 100_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const { clock, store, counts, capacity } = listedRoom({ chunkBytes: CHUNK_BYTES, capacityBytes: CHUNKS * CHUNK_BYTES });
const versions = Array.from({ length: CHUNKS / CHUNKS_PER_VERSION }, (_, at) => versionOf(at));
for (const [at, version] of versions.entries())
  for (let index = 0; index < CHUNKS_PER_VERSION; index++) store.put(version, index, clock.date() - HOUR_MS - at);
const stop = new AbortController();
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
      capacity.touch(pathIn(versions[Math.floor(read / CHUNKS_PER_VERSION)]!, read % CHUNKS_PER_VERSION), 'bucket');
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
