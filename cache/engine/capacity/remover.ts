/**
 * Decides for each chunk of a shard whether it is evicted, and deletes in batches. Right before a batch is deleted, each
 * of its chunks is judged again, by pins and reads as of then.
 */
import { effectiveMinute } from '#cache/core/capacity/cutoff.ts';
import { MINUTE_MS, minuteOf, parseChunkName, readKey, type ChunkKey } from '#cache/core/capacity/chunk-key.ts';
import { OTHER_BUCKET } from '#cache/core/capacity/bucket-names.ts';
import type { PinSet } from '#cache/core/capacity/pins.ts';
import type { EvictionReason } from '#cache/core/capacity/usage-codec.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { MAX_STORE_NAMES, type StoredEntry } from '#cache/engine/ports.ts';
import { isDenied, type Obstacles } from './obstacles.ts';
import type { Evictions } from './evictions.ts';
import type { LastRead } from './ledgers.ts';
import type { Room } from './room.ts';
import type { CountedChunk } from './shard-count.ts';
import { firstOfTick } from './ticks.ts';

/** Which chunks the accountant wants to go. */
export interface Cutoff {
  /** Chunks whose effective minute is below it, */
  readonly minute: number;
  /** computed for this time. */
  readonly atMinute: number;
  readonly reason: 'capacity' | 'full';
  /** The bytes that may still be freed until the accountant's next answer; one object for all sweeps. */
  readonly quota: { leftBytes: number };
}

export type Kept = 'pinned' | 'young' | 'evictable';

export interface Verdict {
  readonly entry: StoredEntry;
  readonly chunk: CountedChunk;
  readonly kind: Kept | 'evict';
  /** Only for `evict`. */
  readonly reason: EvictionReason;
}

export interface RemoverOptions {
  readonly shard: number;
  /** `isFresh`: including those that were written until now. Rejects if nothing may be evicted. */
  readonly pins: (isFresh: boolean, signal: AbortSignal) => Promise<readonly PinSet[]>;
  readonly lastRead: (high: number, low: number) => LastRead | undefined;
  /** False after deletions have failed. */
  readonly mayEvict: () => boolean;
  /** As of now. */
  readonly cutoff: () => Cutoff | undefined;
  /** All chunks of the shard that are passed here have been superseded. */
  readonly isSuperseded: boolean;
  readonly onKept: (chunk: CountedChunk, kind: Kept) => void;
  readonly onEvicted: (chunk: CountedChunk) => void;
}

export class Remover {
  readonly #room: Room;
  readonly #evictions: Evictions;
  readonly #obstacles: Obstacles;
  readonly #options: RemoverOptions;
  readonly #key: ChunkKey = { high: 0, low: 0, shard: 0 };
  /** Undefined = nothing is evicted (any more). */
  #pins: readonly PinSet[] | undefined;
  #failure: unknown;
  #hasDeleted = false;
  #batch: StoredEntry[] = [];

  constructor(room: Room, evictions: Evictions, obstacles: Obstacles, options: RemoverOptions) {
    this.#room = room;
    this.#evictions = evictions;
    this.#obstacles = obstacles;
    this.#options = options;
  }

  /** Must be called first. Without the pins nothing is evicted. */
  async readPins(signal: AbortSignal): Promise<void> {
    this.#pins = await this.#readPins(false, signal);
  }

  get hasDeleted(): boolean {
    return this.#hasDeleted;
  }

  /** Why deletions failed. What was not deleted is counted all the same. */
  get failure(): unknown {
    return this.#failure;
  }

  /** False for a name that is not a chunk of this cache. */
  async add(entry: StoredEntry, signal: AbortSignal): Promise<boolean> {
    const verdict = this.#judge(entry);
    if (verdict === undefined) return false;
    const { chunk, kind } = verdict;
    if (kind !== 'evict') this.#options.onKept(chunk, kind);
    else if (!this.#takeQuota(verdict)) this.#options.onKept(chunk, 'evictable');
    else {
      this.#batch.push(entry);
      if (this.#batch.length >= MAX_STORE_NAMES) await this.flush(signal);
    }
    return true;
  }

  /** Deletes the last batch. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#batch.length === 0) return;
    const { shard, onKept, onEvicted } = this.#options;
    const batch = this.#batch;
    this.#batch = [];
    this.#pins = this.#pins && (await this.#readPins(true, signal));
    if (!this.#room.shards.isMine(shard)) throw new OrcaError('cancelled', 'another replica owns the shard now');
    const verdicts = batch.map((entry) => this.#judge(entry)).filter((verdict) => verdict !== undefined);
    const leaving = verdicts.filter(({ kind }) => kind === 'evict');
    const failed = await this.#delete(leaving, signal);
    for (const { entry, chunk, kind } of verdicts)
      if (kind !== 'evict') onKept(chunk, kind);
      else if (failed.has(entry.name)) onKept(chunk, 'evictable');
      else onEvicted(chunk);
    this.#evictions.evicted(
      leaving
        .filter(({ entry }) => !failed.has(entry.name))
        .map(({ entry, reason, chunk }) => ({ name: entry.name, reason, chunk })),
    );
  }

  /** False = nothing more may be freed now. The last chunk may be larger than the rest of the quota. */
  #takeQuota({ chunk, reason }: Verdict): boolean {
    const quota = reason === 'capacity' || reason === 'full' ? this.#options.cutoff()?.quota : undefined;
    if (quota === undefined) return true;
    if (quota.leftBytes <= 0) return false;
    quota.leftBytes -= chunk.sizeBytes;
    return true;
  }

  /** Returns the names that may not have been deleted. */
  async #delete(leaving: readonly Verdict[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const names = leaving.map(({ entry }) => entry.name);
    if (names.length === 0) return new Set();
    try {
      const { failed } = await this.#room.calls.remove(names, signal);
      if (failed.length === names.length) this.#failed(failed[0]?.error);
      else this.#hasDeleted = true;
      return new Set(failed.map(({ name }) => name));
    } catch (error) {
      signal.throwIfAborted();
      this.#failed(error);
      return new Set(names);
    }
  }

  async #readPins(isFresh: boolean, signal: AbortSignal): Promise<readonly PinSet[] | undefined> {
    try {
      const pins = await this.#options.pins(isFresh, signal);
      this.#obstacles.cleared('pins');
      return pins;
    } catch (error) {
      signal.throwIfAborted();
      const { message } = asOrcaError(error, 'internal', 'unexpected');
      if (!isDenied(error)) this.#obstacles.met('pins', `the pins cannot be read: ${message}`);
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    this.#failure ??= error;
    this.#pins = undefined;
  }

  #judge(entry: StoredEntry): Verdict | undefined {
    const { originId, time, settings } = this.#room;
    const name = parseChunkName(entry.name, originId);
    if (name === undefined) return undefined;
    readKey(entry.name, this.#key);
    const { high, low } = this.#key;
    const { sizeBytes, modifiedMs } = entry;
    const lastRead = this.#options.lastRead(high, low);
    const modifiedMinute = minuteOf(modifiedMs);
    const chunk: CountedChunk = {
      high,
      low,
      sizeBytes,
      modifiedMs,
      // A chunk is stored because it is read, even if the report is lost.
      minute: Math.max(lastRead?.minute ?? 0, modifiedMinute),
      isProven: lastRead?.isProven ?? false,
      bucket: lastRead?.bucket ?? OTHER_BUCKET,
    };
    const kept = (kind: Kept): Verdict => ({ entry, chunk, kind, reason: 'capacity' });
    if (this.#pins?.some((pins) => pins.has(name.versionHex)) === true) return kept('pinned');
    const nowMs = time.nowMs();
    if (nowMs === undefined || nowMs - modifiedMs < settings().minAgeMs) return kept('young');
    const mayEvict = this.#pins !== undefined && this.#options.mayEvict();
    const reason = mayEvict ? this.#reasonToEvict(chunk, nowMs) : undefined;
    return reason === undefined ? kept('evictable') : { entry, chunk, kind: 'evict', reason };
  }

  #reasonToEvict(chunk: CountedChunk, nowMs: number): EvictionReason | undefined {
    const { isSuperseded, cutoff } = this.#options;
    if (isSuperseded) return 'superseded';
    const wanted = cutoff();
    if (
      wanted !== undefined &&
      effectiveMinute(chunk, chunk.minute, firstOfTick(chunk.low), wanted.atMinute) < wanted.minute
    )
      return wanted.reason;
    const { maxIdleMs } = this.#room.settings();
    // Reads have the time of a replica's clock, chunks that of the store's. By the one that is behind, none seems idle too early.
    const earlierMs = Math.min(nowMs, this.#room.clock.date());
    // The whole minute of the last read counts.
    return maxIdleMs !== undefined && earlierMs - (chunk.minute + 1) * MINUTE_MS > maxIdleMs ? 'idle' : undefined;
  }
}
