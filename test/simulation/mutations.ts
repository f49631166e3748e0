/**
 * Mutations: deliberate bugs, each of which the oracle must detect. A mutation replaces text in a source file. A text that
 * is not found exactly once is an error: the mutation must follow the code.
 */
import type { Edit } from './edits.ts';
import { LOSES_READS } from './capacity-oracle.ts';
import { ORIGIN_TROUBLE } from './allowed.ts';
import { PEER_TROUBLE } from './peers.ts';
import { scenarioOf, type Scenario } from './scenario.ts';

export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The last seed that detected it; tried first. */
  readonly seed: number;
  /** The scenarios in which it can be detected: only their seeds are tried next. */
  readonly shows?: (scenario: Scenario) => boolean;
}

/** Tried after `seed`, which may no longer detect the mutation after a change of the engine or the scenarios. */
const MORE_SEEDS = 60;
const LAST_SEED = 3_000;

/** The seeds that a mutation is tried with, the most promising first. */
export function seedsFor({ seed, shows }: Mutation): number[] {
  const seeds = [seed];
  for (let other = 1; other <= LAST_SEED && seeds.length <= MORE_SEEDS; other++)
    if (other !== seed && (shows?.(scenarioOf(other)) ?? true)) seeds.push(other);
  return seeds;
}

const PEER_SET = 'cache/core/peer-set.ts';
const FILL = 'cache/engine/fill/fill.ts';
const FLIGHTS = 'cache/engine/fill/flights.ts';
const STREAM_WINDOW = 'cache/engine/streams/stream-window.ts';
const WINDOW_SEGMENTS = 'cache/engine/streams/window-segments.ts';
const STREAM_READER = 'cache/engine/streams/stream-reader.ts';
const STORE_LOADS = 'cache/engine/streams/store-loads.ts';
const MEMORY = 'cache/engine/memory/chunk-memory.ts';
const ORIGIN_PARTS = 'cache/engine/fill/origin-parts.ts';
const OUTBOX = 'cache/engine/fill/outbox.ts';
const FROM_PEER = 'cache/engine/fetch/from-peer.ts';
const FROM_STORE = 'cache/engine/fetch/from-store.ts';
const SERVE_FILL = 'cache/engine/serve-fill.ts';
const SERVE_WARM = 'cache/engine/warm/serve-warm.ts';
const ADMISSION = 'cache/engine/warm/admission.ts';
const METADATA = 'cache/engine/metadata/metadata.ts';
const BLOCK_EVIDENCE = 'cache/engine/fill/block-evidence.ts';
const REMOVER = 'cache/engine/capacity/remover.ts';
const ACCOUNTANT = 'cache/engine/capacity/accountant.ts';
const CUTOFF = 'cache/core/capacity/cutoff.ts';
const CAPACITY = 'cache/engine/capacity/capacity.ts';
const STORE_CALLS = 'cache/engine/capacity/store-calls.ts';
const STORE_TIME = 'cache/engine/capacity/store-time.ts';
/** Chunks are evicted for lack of room, and no read gets lost. */
const isPlainlyBounded = ({ capacity, faults }: Scenario): boolean =>
  capacity?.settings.capacityBytes !== undefined &&
  capacity.storeBytes === undefined &&
  capacity.clockOffsetMs === 0 &&
  !LOSES_READS.some((fault) => faults.has(fault));
const hasWorkers = ({ pods, rolls }: Scenario): boolean =>
  pods.workers > 1 || rolls.some((roll) => roll.pods.workers > 1);
const isPrewarmed = ({ prewarms }: Scenario): boolean => prewarms.length > 0;
const isSparse = ({ tiers, chunkBytes }: Scenario): boolean =>
  tiers.some(({ chunkSizeBytes }) => chunkSizeBytes > 2 * chunkBytes);

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a short response from the origin passes as complete',
    seed: 46,
    shows: ({ faults }) => faults.has('origin-errors'),
    edits: [
      { file: ORIGIN_PARTS, search: 'if (part.at !== to)', replace: 'if (part.at > to)' },
      {
        file: ORIGIN_PARTS,
        search: 'if (part.at < to) await fetch(part, to);',
        replace: 'if (part.at < to) await fetch(part, to);\n          if (to === part.to) break;',
      },
      {
        file: 'cache/engine/fill/chunk-hasher.ts',
        search: 'if (this.#at !== lengthBytes)',
        replace: 'if (this.#at > lengthBytes)',
      },
    ],
  },
  {
    name: 'a part that broke is read again from its start',
    seed: 5,
    shows: ({ faults }) => faults.has('origin-errors'),
    edits: [{ file: ORIGIN_PARTS, search: 'from: range.from + part.at', replace: 'from: range.from + part.from' }],
  },
  {
    name: 'the origin is read without If-Match, and its response is not checked',
    seed: 75,
    shows: ({ faults }) => faults.has('overwrite'),
    edits: [
      {
        file: 'test/simulation/origin.ts',
        search: 'current.etag !== object.etag || current.sizeBytes !== object.sizeBytes',
        replace: 'current.sizeBytes !== object.sizeBytes',
      },
      {
        file: 'test/simulation/origin.ts',
        search: 'fillFrom(version, offset, target)',
        replace: 'fillFrom(this.current(object.key) ?? version, offset, target)',
      },
    ],
  },
  {
    name: 'a response with the whole object is accepted as a range',
    seed: 1,
    edits: [
      {
        file: 'test/simulation/origin.ts',
        search: 'fillFrom(version, offset, target)',
        replace: 'fillFrom(version, offset - range.from, target)',
      },
    ],
  },
  {
    name: 'an object that has changed is not resolved again',
    seed: 46,
    shows: ({ faults }) => faults.has('overwrite'),
    edits: [
      {
        file: 'cache/engine/read.ts',
        search: "if (!hasCode(error, 'object_changed') || !isFirst || request.onlyIfCached === true) throw error;",
        replace: 'if (error !== undefined) throw error;',
      },
    ],
  },
  {
    name: 'bytes from the cachestore are not verified',
    seed: 28,
    shows: ({ faults }) => faults.has('store-flip'),
    edits: [
      {
        file: 'cache/engine/streams/store-stream.ts',
        search: 'if (metadata !== undefined) window.verify',
        replace: 'if (metadata === undefined) throw 0;\n    if (read.chunk.index < 0) window.verify',
      },
    ],
  },
  {
    name: 'another chunk stored under the name of a chunk is accepted',
    seed: 40,
    shows: ({ faults }) => faults.has('store-truncate'),
    edits: [
      {
        file: 'cache/stores/stored-chunk.ts',
        search: 'metadata.identity !== undefined && metadata.identity !== chunkIdentity(chunk)',
        replace: 'metadata.identity !== undefined && metadata.identity === chunk.path',
      },
    ],
  },
  {
    name: 'bytes are sent before their block is verified',
    seed: 28,
    shows: ({ faults }) => faults.has('store-flip'),
    edits: [
      {
        file: 'cache/engine/streams/block-verifier.ts',
        search: 'return this.#covers(block) ? block * blockSizeBytes : this.#at;',
        replace: 'return this.#covers(-1 - block) ? block * blockSizeBytes : this.#at;',
      },
    ],
  },
  {
    name: 'a read that another source has started is not verified from its block on',
    seed: 114,
    shows: ({ faults }) => faults.has('store-flip') && faults.has('peer-errors'),
    edits: [
      {
        file: FROM_STORE,
        search: 'return verifyRanges ? whole : { ...range, from: Math.max(whole.from, asked.from) };',
        replace: 'return verifyRanges ? whole : { ...range, from: Math.max(range.from, asked.from) };',
      },
    ],
  },
  {
    name: 'the CRC of a chunk leaves out its last block',
    seed: 1,
    edits: [
      {
        file: 'cache/engine/fill/chunk-hasher.ts',
        search: 'this.#whole = combineCrc32(',
        replace: 'if (blockEnd < this.#chunk.lengthBytes) this.#whole = combineCrc32(',
      },
    ],
  },
  {
    name: 'a chunk is committed as soon as one of its parts is complete',
    seed: 8,
    edits: [
      {
        file: 'cache/engine/fill/task-group.ts',
        search: 'for (const task of this.#started) await task;',
        replace: 'await Promise.race(this.#started);',
      },
      {
        file: 'cache/engine/fill/chunk-hasher.ts',
        search: 'if (this.#at !== lengthBytes)',
        replace: 'if (this.#at > lengthBytes)',
      },
    ],
  },
  {
    name: 'a corrupt chunk is filled again, but not overwritten',
    seed: 36,
    shows: ({ faults }) => faults.has('store-flip') || faults.has('store-truncate'),
    edits: [
      { file: 'cache/engine/fetch/from-origin.ts', search: 'overwrite: cursor.corrupt', replace: 'overwrite: false' },
    ],
  },
  {
    name: 'a peer’s request is forwarded to a third replica',
    seed: 64,
    shows: ({ faults }) => faults.has('skew') || faults.has('leave'),
    edits: [
      {
        file: SERVE_FILL,
        search: "if (!isOurs) return { kind: 'not_coordinator', owner: first, epoch };",
        replace: "if (!isOurs) return { kind: 'bytes', body: fetchChunk(context, call) };",
      },
      {
        file: SERVE_FILL,
        search: "import { fetchLocally } from '#cache/engine/fetch/from-origin.ts';",
        replace:
          "import { fetchChunk } from '#cache/engine/fetch/chunk.ts';\nimport { fetchLocally } from '#cache/engine/fetch/from-origin.ts';",
      },
    ],
  },
  {
    name: 'a closed stream keeps its segments',
    seed: 1,
    edits: [
      {
        file: WINDOW_SEGMENTS,
        search: 'for (const { segment } of this.#held.splice(0)) segment.release();',
        replace: 'this.#held.splice(0);',
      },
    ],
  },
  {
    name: 'memory that a cancelled file read still writes into is given to another stream',
    seed: 1021,
    shows: ({ isFileStore, faults }) => isFileStore && faults.has('cancel'),
    edits: [
      {
        file: WINDOW_SEGMENTS,
        search: 'if (this.#isWriting && !hasSourceEnded) {',
        replace: 'if (this.#isWriting && hasSourceEnded) {',
      },
    ],
  },
  {
    name: 'memory that a file operation still writes into is not kept after its limit',
    seed: 114,
    shows: ({ isFileStore, faults }) => isFileStore && faults.has('store-errors'),
    edits: [
      {
        file: WINDOW_SEGMENTS,
        search: 'segment?.retain();\n    return () => segment?.release();',
        replace: 'return () => void segment;',
      },
    ],
  },
  {
    name: 'a piece does not keep its segment',
    seed: 1,
    edits: [
      { file: 'cache/engine/memory/piece.ts', search: 'segment.retain();', replace: '' },
      {
        file: 'cache/engine/memory/piece.ts',
        search: 'release: () => segment.release()',
        replace: 'release: () => {}',
      },
    ],
  },
  {
    name: 'a chunk may leave memory while it is uploaded',
    seed: 35,
    shows: ({ faults }) => faults.has('pressure'),
    edits: [
      {
        file: OUTBOX,
        search: 'this.#options.memoryTier.pin(item.chunk.path, item.bytes);',
        replace: 'this.#options.memoryTier.put(item.chunk.path, item.bytes);',
      },
    ],
  },
  {
    name: 'memory is leased beyond the budget',
    seed: 45,
    shows: ({ faults }) => faults.has('pressure'),
    edits: [{ file: MEMORY, search: 'return missing() <= 0;', replace: 'return missing() <= need.costBytes;' }],
  },
  {
    name: 'fills take the windows’ share of memory',
    seed: 4,
    shows: ({ faults }) => faults.has('pressure'),
    edits: [
      {
        file: MEMORY,
        search: "return purpose === 'fill' ? this.budgetBytes * (1 - WINDOW_SHARE) : this.budgetBytes;",
        replace: 'return purpose === undefined ? this.budgetBytes * (1 - WINDOW_SHARE) : this.budgetBytes;',
      },
    ],
  },
  {
    name: 'the index is left out of a chunk’s score',
    seed: 52,
    shows: ({ isCalm }) => isCalm,
    edits: [
      {
        file: 'cache/core/rendezvous.ts',
        search: "createHash('sha256').update(path, 'utf8').digest();\n  return peers",
        replace: "createHash('sha256').update(path.replace(/[0-9]+$/, ''), 'utf8').digest();\n  return peers",
      },
    ],
  },
  {
    name: 'a fill leaves the table before its commit',
    seed: 178,
    shows: ({ faults }) => faults.has('store-slow') || faults.has('store-errors'),
    edits: [
      { file: FILL, search: 'await context.outbox.commit(', replace: 'void context.outbox.commit(' },
      {
        file: FLIGHTS,
        search: 'if (this.#context.memoryTier.get(chunk.path) !== undefined) return undefined;',
        replace: '',
      },
    ],
  },
  {
    name: 'a fill does not query the cachestore first',
    seed: 7,
    edits: [{ file: FILL, search: 'if (!order.knownAbsent && (await', replace: 'if (chunk.index < 0 && (await' }],
  },
  {
    name: 'a chunk that is known to be stored is requested in a loop',
    seed: 1,
    shows: ({ faults }) => faults.has('store-vanish') || faults.has('store-errors'),
    edits: [
      { file: FROM_PEER, search: 'for (let round = 0; round < MAX_ROUNDS; round++) {', replace: 'for (;;) {' },
      {
        file: FROM_PEER,
        search: 'const reason = fillReason(cursor);',
        replace: 'const reason = fillReason({ ...cursor, absent: false, storeFailedMs: undefined, corrupt: false });',
      },
    ],
  },
  {
    name: 'the catalog forgets a chunk without a tombstone',
    seed: 566,
    shows: ({ faults, catalogEntries }) => faults.has('store-vanish') && catalogEntries === 4,
    edits: [
      {
        file: 'cache/engine/upstream/catalog.ts',
        search: 'if (this.#old.has(path)) this.#put(path, false);\n    else this.#young.delete(path);',
        replace: 'this.#young.delete(path);',
      },
    ],
  },
  {
    name: 'a peer that waits for a slow origin sends no 102 responses',
    seed: 197,
    shows: ({ faults }) => faults.has('origin-slow') && !PEER_TROUBLE.some((fault) => faults.has(fault)),
    edits: [
      {
        file: 'test/simulation/peers.ts',
        search: '    processing();\n    let streaming = false;',
        replace: '    let streaming = false;',
      },
    ],
  },
  {
    name: 'a failing origin counts as a dead peer',
    seed: 32,
    shows: ({ faults }) => faults.has('origin-down') && !PEER_TROUBLE.some((fault) => faults.has(fault)),
    edits: [
      {
        file: FROM_PEER,
        search: "if (hasCode(error, 'peer_unavailable')) return error;",
        replace: "if (hasCode(error, 'peer_unavailable', 'origin_unavailable')) return error;",
      },
    ],
  },
  {
    name: 'a fill ends with its last reader',
    seed: 9,
    shows: ({ isImpatient, faults }) => isImpatient && !faults.has('pressure'),
    edits: [
      {
        file: FLIGHTS,
        search: 'if (!flight.isPaidFor && !flight.isWarm) this.#end(',
        replace: 'if (flight.isBackground) this.#end(',
      },
    ],
  },
  {
    name: 'fills without readers take all of the memory',
    seed: 78,
    shows: ({ faults }) => faults.has('cancel') && faults.has('pressure'),
    edits: [{ file: FLIGHTS, search: 'const BACKGROUND_SHARE = 1 / 4;', replace: 'const BACKGROUND_SHARE = 1;' }],
  },
  {
    name: 'a fill without readers keeps slots at the origin that clients wait for',
    seed: 81,
    shows: ({ faults, targetGlobal, origin }) =>
      faults.has('cancel') && targetGlobal === 6 && (origin.bytesPerMs < 2_000 || faults.has('origin-slow')),
    edits: [
      {
        file: 'cache/engine/upstream/origin-limiter.ts',
        search: 'if (this.#queued === 0 || this.#turns.size === 0) return [];',
        replace: 'if (this.#queued >= 0) return [];',
      },
    ],
  },
  {
    name: 'a fill without readers is fetched as if clients waited for it',
    seed: 81,
    shows: ({ faults, targetGlobal, origin }) =>
      faults.has('cancel') && targetGlobal === 6 && (origin.bytesPerMs < 2_000 || faults.has('origin-slow')),
    edits: [
      {
        file: ORIGIN_PARTS,
        search: 'context.limiter.run(object.bucket, signal, readRest, flight)',
        replace: 'context.limiter.run(object.bucket, signal, readRest)',
      },
    ],
  },
  {
    name: 'the wait for a stalled origin has no limit',
    seed: 5,
    shows: ({ faults }) => faults.has('origin-errors'),
    edits: [
      {
        file: ORIGIN_PARTS,
        search: 'const STALL_TIMEOUT_MS = 10_000;',
        replace: 'const STALL_TIMEOUT_MS = 10_000_000;',
      },
    ],
  },
  {
    name: 'a failed request keeps its slot at the origin',
    seed: 4,
    edits: [
      {
        file: 'cache/engine/upstream/origin-limiter.ts',
        search: 'return await task(turn === undefined ? signal : AbortSignal.any([signal, turn.preempted.signal]));',
        replace: 'const result = await task(signal);\n        this.#leave(bucket, turn);\n        return result;',
      },
      {
        file: 'cache/engine/upstream/origin-limiter.ts',
        search: '      } finally {\n        this.#leave(bucket, turn);\n      }\n',
        replace: '      }\n',
      },
    ],
  },
  {
    name: 'an aborted wait leaves its listener behind',
    seed: 1,
    edits: [
      {
        file: 'shared/abortable.ts',
        search: "signal.removeEventListener('abort', onAbort);",
        replace: '',
      },
    ],
  },
  {
    name: 'commits in flight take all of the memory',
    seed: 4,
    shows: ({ faults }) => faults.has('pressure'),
    edits: [
      {
        file: OUTBOX,
        search:
          'return this.#pinned.size === 0 || this.sizeBytes + bytes.sizeBytes <= this.#options.budgetBytes * SHARE;',
        replace: 'return bytes.sizeBytes > 0;',
      },
    ],
  },
  {
    name: 'a failed commit is never retried',
    seed: 6,
    shows: ({ faults }) => faults.has('store-errors') || faults.has('store-down'),
    edits: [
      {
        file: OUTBOX,
        search: 'else if (oldest !== undefined && (await this.#try(oldest))) this.#remove(oldest);',
        replace: 'else await this.#alarm.sleep(BACKOFF_MAX_MS, signal);',
      },
    ],
  },
  {
    name: 'a failing cachestore causes an error for the client',
    seed: 6,
    shows: ({ faults }) => faults.has('store-errors') || faults.has('store-down'),
    edits: [
      {
        file: FROM_STORE,
        search: "hasCode(error, 'chunk_missing', 'chunk_bad', 'store_unavailable')) return error",
        replace: "hasCode(error, 'chunk_missing', 'chunk_bad')) return error",
      },
    ],
  },
  {
    name: 'the age of a head counts from when a replica receives it',
    seed: 4,
    edits: [
      {
        file: METADATA,
        search: 'return { head, learnedMs: askedMs - ageMs };',
        replace: 'return { head, learnedMs: askedMs - ageMs * 0 };',
      },
    ],
  },
  {
    name: 'an entry is used for longer than its TTL again while it is revalidated',
    seed: 726,
    shows: ({ faults, ttlMs, staleWhileRevalidateMs }) => faults.has('overwrite') && ttlMs < staleWhileRevalidateMs,
    edits: [
      {
        file: METADATA,
        search: 'const staleMs = Math.min(this.#options.staleWhileRevalidateMs, ttlMs);',
        replace: 'const staleMs = this.#options.staleWhileRevalidateMs;',
      },
    ],
  },
  {
    name: 'a started response is refused memory like a new one',
    seed: 81,
    shows: ({ faults }) => faults.has('peer-errors'),
    edits: [
      {
        file: 'cache/engine/fetch/read-ahead.ts',
        search: "  read.demand = 'started';\n  return first.done",
        replace: '  return first.done',
      },
    ],
  },
  {
    name: 'a block in flight is fetched again for the next reader',
    seed: 22,
    shows: isSparse,
    edits: [
      {
        file: BLOCK_EVIDENCE,
        search: 'if (runs.has(block)) continue;',
        replace: 'if ((runs.get(block) as { held?: object } | undefined)?.held !== undefined) continue;',
      },
    ],
  },
  {
    name: 'a chunk is filled by its first small read',
    seed: 524,
    shows: (scenario) => isSparse(scenario) && scenario.isCalm,
    edits: [
      {
        file: BLOCK_EVIDENCE,
        search: 'if (isPaidFor(evidence, lengthBytes, gaps, restBytes)) return',
        replace: 'if (true) return',
      },
    ],
  },
  {
    name: 'known metadata is not served while the origin is down',
    seed: 18,
    shows: ({ faults }) => faults.has('origin-down') && [...faults].every((fault) => ORIGIN_TROUBLE.includes(fault)),
    edits: [
      {
        file: METADATA,
        search: 'if (last === undefined) throw error;',
        replace: 'if (last === undefined || this.#table.ageMs(last) >= 0) throw error;',
      },
    ],
  },
  {
    name: 'read-ahead waits for memory while it holds some',
    seed: 3,
    shows: ({ readahead }) => readahead > 0,
    edits: [
      {
        file: 'cache/engine/fetch/read-ahead.ts',
        search: "...plan, demand: 'ahead' }, seen));",
        replace: "...plan, demand: 'started' }, seen));",
      },
      {
        file: 'cache/engine/fetch/read-ahead.ts',
        search: 'if (!context.memory.isRelaxed || plan.readahead === 0) return 0;',
        replace: 'if (plan.readahead === 0) return 0;',
      },
    ],
  },
  {
    name: 'a late reader joins a shared stream at an offset that it has dropped',
    seed: 2,
    edits: [
      {
        file: STREAM_WINDOW,
        search: 'return from >= this.#segments.start && from <= soonAt',
        replace: 'return from <= soonAt',
      },
    ],
  },
  {
    name: 'a shared stream without readers keeps its memory',
    seed: 1,
    edits: [
      { file: STREAM_WINDOW, search: 'if (this.#readers.size > 0) return;', replace: 'if (this.range.to > 0) return;' },
    ],
  },
  {
    name: 'new bytes of a shared stream do not wake its readers',
    seed: 8,
    edits: [
      {
        file: STREAM_WINDOW,
        search: 'held.readyTo = held.writtenTo;\n      this.#notify(held);',
        replace: 'held.readyTo = held.writtenTo;',
      },
    ],
  },
  {
    name: 'a reader that a shared stream has left behind reports a complete body',
    seed: 10,
    edits: [{ file: STREAM_READER, search: 'return this.#wasPassed || end', replace: 'return end' }],
  },
  {
    name: 'a replica with a slow origin counts as dead at the deadline',
    seed: 6035,
    shows: ({ origin }) => origin.bytesPerMs < 400,
    edits: [
      {
        file: 'cache/engine/streams/peer-stream.ts',
        search: 'firstByteTimeoutMs: DEADLINE_MS + ANSWER_GRACE_MS',
        replace: 'firstByteTimeoutMs: DEADLINE_MS',
      },
    ],
  },
  {
    name: 'a shared load from the cachestore is not verified',
    seed: 28,
    shows: ({ faults }) => faults.has('store-flip'),
    edits: [
      { file: STORE_LOADS, search: 'this.#verifier?.take(piece) ?? this.#writtenTo', replace: 'this.#writtenTo' },
    ],
  },
  {
    name: 'an abandoned load counts as complete while the cachestore still writes',
    seed: 1,
    edits: [
      {
        file: STORE_LOADS,
        search: 'if (this.#hasEnded) this.#admit();\n    else {',
        replace: 'this.#admit();\n    if (!this.#hasEnded) {',
      },
    ],
  },
  {
    name: 'other readers join a load that has failed',
    seed: 1,
    edits: [
      {
        file: STORE_LOADS,
        search: 'retries after the failure must start a new load.\n    this.#onClosed();',
        replace: '',
      },
      { file: STORE_LOADS, search: 'this.#onClosed();\n    const isGood', replace: 'const isGood' },
    ],
  },
  {
    name: 'a failed load does not wake its readers',
    seed: 1,
    edits: [{ file: STORE_LOADS, search: 'for (const reader of this.#readers) reader.wake();', replace: '' }],
  },
  {
    name: 'pinned chunks are evicted',
    seed: 45,
    shows: ({ capacity }) => (capacity?.pins.length ?? 0) > 0,
    edits: [{ file: REMOVER, search: 'if (this.#pins?.some(', replace: 'if (false && this.#pins?.some(' }],
  },
  {
    name: 'young chunks are evicted',
    seed: 25,
    shows: ({ capacity }) => (capacity?.settings.minAgeMs ?? 0) > 60_000,
    edits: [{ file: REMOVER, search: 'nowMs - modifiedMs < settings().minAgeMs', replace: 'false' }],
  },
  {
    name: 'ages of chunks are measured by the clock of the replica',
    seed: 25,
    shows: ({ capacity }) => (capacity?.clockOffsetMs ?? 0) < -60_000 && (capacity?.settings.minAgeMs ?? 0) > 0,
    edits: [
      {
        file: STORE_TIME,
        search: 'return this.#known && this.#known.storeMs + (this.#options.clock.now() - this.#known.atMs);',
        replace: 'return this.#options.clock.date();',
      },
    ],
  },
  {
    name: 'the most recently used chunks are evicted first',
    seed: 97,
    shows: isPlainlyBounded,
    edits: [
      {
        file: REMOVER,
        search: 'firstOfTick(chunk.low), wanted.atMinute) < wanted.minute',
        replace: 'firstOfTick(chunk.low), wanted.atMinute) >= wanted.minute',
      },
    ],
  },
  {
    name: 'reported reads are forgotten',
    seed: 97,
    shows: isPlainlyBounded,
    edits: [{ file: CAPACITY, search: 'this.#ledgers.merge(parts);', replace: '' }],
  },
  {
    name: 'superseded versions are evicted at once',
    seed: 149,
    shows: ({ capacity }) => (capacity?.overwrites.length ?? 0) > 2 && (capacity?.settings.minAgeMs ?? 0) > 5_000,
    edits: [
      {
        file: 'cache/engine/capacity/superseded.ts',
        search: 'return sinceMs + Math.max(this.#room.settings().minAgeMs, MIN_WAIT_MS);',
        replace: 'return sinceMs;',
      },
    ],
  },
  {
    name: 'a failed list counts as the end of the list',
    seed: 44,
    shows: ({ faults }) => faults.has('list-errors'),
    edits: [
      {
        file: STORE_CALLS,
        search: 'this.#store.list(prefix, cursor, { signal: bounded })),',
        replace:
          'this.#store.list(prefix, cursor, { signal: bounded }).catch(() => ({ entries: [], cursor: undefined }))),',
      },
    ],
  },
  {
    name: 'evicted bytes are not counted',
    seed: 25,
    shows: ({ capacity }) => capacity !== undefined,
    edits: [
      {
        file: 'cache/engine/capacity/evictions.ts',
        search: 'for (const [reason, sum] of sums) this.#room.observer',
        replace: 'for (const [reason, sum] of [...sums].slice(1)) this.#room.observer',
      },
    ],
  },
  {
    name: 'eviction ends below the high watermark',
    seed: 5879,
    shows: (scenario) =>
      isPlainlyBounded(scenario) &&
      (scenario.capacity?.settings.highWatermark ?? 0) - (scenario.capacity?.settings.lowWatermark ?? 0) >= 10,
    edits: [
      { file: CUTOFF, search: '|| (figures.isEvicting && usedBytes > endBytes)', replace: '' },
      {
        file: CUTOFF,
        search: 'const freeBytes = usedBytes - lowBytes;',
        replace: 'const freeBytes = Math.max(0, usedBytes - highBytes);',
      },
    ],
  },
  {
    name: 'the time since a read is measured by the clock of the cachestore',
    seed: 410,
    shows: ({ capacity }) => capacity?.settings.maxIdleMs !== undefined && (capacity.clockOffsetMs ?? 0) > 0,
    edits: [
      {
        file: REMOVER,
        search: 'earlierMs - (chunk.minute + 1) * MINUTE_MS > maxIdleMs',
        replace: 'nowMs - (chunk.minute + 1) * MINUTE_MS > maxIdleMs',
      },
    ],
  },
  {
    name: 'reports of replicas with another view are counted',
    seed: 114,
    shows: ({ capacity, faults }) => capacity !== undefined && (faults.has('skew') || faults.has('join')),
    edits: [
      {
        file: ACCOUNTANT,
        search: 'isOfView = report.epoch === shards.epoch;',
        replace: 'isOfView = true;',
      },
      {
        file: ACCOUNTANT,
        search: 'report.epoch === shards.epoch && nowMs - atMs <= (',
        replace: 'nowMs - atMs <= (',
      },
      {
        file: ACCOUNTANT,
        search: '(other) => !other.report.covered.some(',
        replace: '(other) => other.report.epoch !== report.epoch || !other.report.covered.some(',
      },
    ],
  },
  {
    name: 'a chunk counts as warmed before it is committed',
    seed: 47,
    shows: isPrewarmed,
    edits: [
      {
        file: SERVE_WARM,
        search: 'if (context.outbox.settled(path) !== undefined) await waitForCommit(context, flight.chunk, signal);',
        replace: 'if (isNew) return flight.fetchedBytes;',
      },
    ],
  },
  {
    name: 'a prewarm fills a chunk that is being filled',
    seed: 1063,
    shows: isPrewarmed,
    edits: [
      {
        file: SERVE_WARM,
        search: 'const running = flights.get(path);',
        replace: 'const running = undefined as ReturnType<typeof flights.get>;',
      },
      {
        file: ADMISSION,
        search: 'const running = flights.get(chunk.path);',
        replace: 'const running = undefined as ReturnType<typeof flights.get>;',
      },
    ],
  },
  {
    name: 'a prewarm that waited for memory relies on its first look',
    seed: 1679,
    shows: isPrewarmed,
    edits: [
      {
        file: SERVE_WARM,
        search: '(!catalog.has(path) && clock.now() - looked <= LOOK_AGAIN_MS)',
        replace: 'clock.now() >= looked',
      },
    ],
  },
  {
    name: 'a prewarm takes all slots at the origin',
    seed: 1415,
    shows: isPrewarmed,
    edits: [
      {
        file: 'cache/engine/upstream/origin-limiter.ts',
        search: 'const WARM_SHARE = 1 / 2;',
        replace: 'const WARM_SHARE = 1;',
      },
    ],
  },
  {
    name: 'a prewarm relies on the catalog',
    seed: 423,
    shows: isPrewarmed,
    edits: [
      {
        file: 'cache/engine/warm/warm.ts',
        search: 'const found = await lookInStore(options, chunk, signal);',
        replace:
          "const found = options.catalog.has(chunk.path) ? 'stored' : await lookInStore(options, chunk, signal);",
      },
    ],
  },
  {
    name: 'some replicas do not see the further workers of other pods',
    seed: 11,
    shows: hasWorkers,
    edits: [
      {
        file: PEER_SET,
        search: 'const peerPorts = ports.length === 0 ? [self.port] : ports;',
        replace: "const peerPorts = ports.length === 0 || selfIp.endsWith('2') ? [self.port] : ports;",
      },
    ],
  },
  {
    name: 'the second worker of a draining pod stays an owner',
    seed: 27,
    shows: (scenario) => hasWorkers(scenario) && (scenario.faults.has('roll') || scenario.faults.has('leave')),
    edits: [
      {
        file: PEER_SET,
        search: 'STATE_RANK[state] > STATE_RANK[before]) states.set(address, state);',
        replace:
          "STATE_RANK[state] > STATE_RANK[before]) states.set(address, address.endsWith('5') ? 'serving' : state);",
      },
    ],
  },
  {
    name: 'a commit that waits for clients is forgotten',
    seed: 1,
    edits: [
      {
        file: 'cache/engine/fill/commit-turns.ts',
        search: 'const cancelTimer = this.#clock.after(MAX_WAIT_MS, waiting.go);',
        replace: 'const cancelTimer = () => {};',
      },
      {
        file: 'cache/engine/fill/commit-turns.ts',
        search: 'for (const { go } of this.#waiting) go();',
        replace: '',
      },
    ],
  },
  {
    name: 'each worker takes the memory budget of its whole pod',
    seed: 11,
    shows: hasWorkers,
    edits: [
      {
        file: 'cache/config/workers.ts',
        search: 'budgetBytes: Math.floor(memory.budgetBytes / workers)',
        replace: 'budgetBytes: memory.budgetBytes',
      },
    ],
  },
  {
    name: 'a worker that has crashed once is never tried again',
    seed: 3,
    shows: (scenario) => hasWorkers(scenario) && scenario.faults.has('worker-crash'),
    edits: [
      {
        file: 'cache/peers/peer-health.ts',
        search: 'const isProbe = skipUntilMs !== undefined;',
        replace: 'if (skipUntilMs !== undefined) return undefined;\n      const isProbe = false;',
      },
    ],
  },
];
