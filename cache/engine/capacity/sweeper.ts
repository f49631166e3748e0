/**
 * Sweeps the shards of this replica, one after the other: counts their chunks, and evicts. The pace follows from the
 * sweep interval; while something is evicted, it is ten times as fast, and while the cachestore is full there are no pauses.
 */
import { shardOf, shardPrefix } from '#cache/core/capacity/chunk-key.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { isStoreFull } from '#cache/engine/upstream/guarded.ts';
import { backoffMs } from '#shared/backoff.ts';
import type { Alarm } from '#shared/alarm.ts';
import type { Obstacles } from './obstacles.ts';
import type { Evictions } from './evictions.ts';
import type { Ledgers, OpenLedger } from './ledgers.ts';
import type { OwnedShards } from './owned-shards.ts';
import type { Pins } from './pins.ts';
import { Remover, type Cutoff, type RemoverOptions } from './remover.ts';
import type { Room } from './room.ts';
import { RECENT_MS, type ShardCount } from './shard-count.ts';
import type { Superseded } from './superseded.ts';
import type { SmallObjects } from './small-objects.ts';

/** Shards that nothing is known about, and an eviction, do not wait for the next regular sweep. */
const FAST_SHARE = 1 / 10;
/** While the cachestore is full: as long as a report and its answer take. */
const URGENT_MS = 5_000;
/** Nothing to do, or the breaker is open: the alarm rings for whatever needs attention, so this is only a precaution. */
const IDLE_MS = 30_000;
/** After a failure. A cachestore that does not permit lists is tried now and then. */
const BACKOFF_MS = 5_000;
const BACKOFF_MAX_MS = 10 * 60_000;

export interface SweeperOptions {
  readonly room: Room;
  readonly owned: OwnedShards;
  readonly ledgers: Ledgers;
  readonly pins: Pins;
  readonly superseded: Superseded;
  readonly smallObjects: SmallObjects;
  readonly evictions: Evictions;
  readonly obstacles: Obstacles;
  readonly alarm: Alarm;
  readonly cutoff: () => Cutoff | undefined;
  readonly isUrgent: () => boolean;
  /** False until the origin's identity is verified: the chunks under its id may be those of another cache. */
  readonly mayDelete: () => boolean;
  /** Something has become known or has changed that the accountant waits for. */
  readonly onNews: () => void;
}

interface Job {
  readonly dueMs: number;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  /** When the last sweep began: the pace is kept from there. */
  #lastMs: number | undefined;
  #failures = 0;
  #pausedUntilMs = -Infinity;
  /** Sweeps go on after deletions have failed: they count. */
  #deleteFailures = 0;
  #deleteAfterMs = -Infinity;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { room, alarm } = this.#options;
    const unsubscribe = room.calls.onClosed(() => alarm.ring());
    try {
      while (!signal.aborted) {
        const job = this.#next();
        const waitMs = job === undefined ? IDLE_MS : job.dueMs - room.clock.now();
        if (job === undefined || waitMs > 0) await alarm.sleep(Math.min(waitMs, IDLE_MS), signal);
        else await this.#try(job, signal);
      }
    } finally {
      unsubscribe();
    }
  }

  async #try(job: Job, signal: AbortSignal): Promise<void> {
    const { room } = this.#options;
    try {
      await job.run(signal);
      this.#failures = 0;
    } catch (error) {
      if (signal.aborted || hasCode(error, 'cancelled')) return;
      this.#pausedUntilMs = this.#pause(this.#failures++);
      if (!hasCode(error, 'store_unavailable'))
        room.observer.warn('the sweep of a shard failed unexpectedly', { error });
    }
  }

  #next(): Job | undefined {
    const { room, owned, ledgers, superseded, mayDelete, isUrgent } = this.#options;
    owned.update();
    const nowMs = room.clock.now();
    if (!mayDelete() || !room.calls.isClosed) return undefined;
    if (nowMs < this.#pausedUntilMs) return { dueMs: this.#pausedUntilMs, run: async () => {} };
    if (owned.needsLoading) return { dueMs: nowMs, run: (signal) => this.#load(signal) };
    // A full cachestore has no room for ledgers either.
    const crowded = isUrgent() ? undefined : ledgers.crowded();
    if (crowded !== undefined) return { dueMs: nowMs, run: (signal) => ledgers.write(crowded, signal) };
    const supersededMs = superseded.dueMs() ?? Infinity;
    if (supersededMs <= nowMs) return { dueMs: nowMs, run: (signal) => this.#removeSuperseded(signal) };
    const sweep = this.#nextSweep(nowMs);
    return sweep === undefined || supersededMs < sweep.dueMs ? { dueMs: supersededMs, run: async () => {} } : sweep;
  }

  #nextSweep(nowMs: number): Job | undefined {
    const { owned, room, cutoff } = this.#options;
    const { sweepIntervalMs } = room.settings();
    const fastMs = sweepIntervalMs * FAST_SHARE;
    const isUrgent = this.#options.isUrgent() && this.#mayDelete;
    const hasToGo = cutoff() !== undefined && this.#mayDelete;
    const roundMs = isUrgent ? URGENT_MS : hasToGo ? fastMs : sweepIntervalMs;
    const next = owned.next(roundMs, fastMs);
    if (next === undefined) return undefined;
    const gapMs = isUrgent ? 0 : (next.isFast ? fastMs : roundMs) / owned.size;
    // Replicas that have started together do not sweep together.
    this.#lastMs ??= nowMs - room.random() * gapMs;
    const dueMs = Math.max(this.#lastMs + gapMs, next.dueMs);
    return { dueMs, run: (signal) => this.#sweep(next.shard, signal) };
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { owned, onNews } = this.#options;
    if (!(await owned.loadOne(signal)) || !owned.needsLoading) onNews();
  }

  async #sweep(shard: number, signal: AbortSignal): Promise<void> {
    const { room, owned, ledgers } = this.#options;
    const startedMs = room.clock.now();
    this.#lastMs = startedMs;
    const count = owned.began(shard);
    let ledger: OpenLedger | undefined;
    try {
      // Without it chunks seem younger than they are.
      await room.time.read(signal).catch((error: unknown) => ignore(error, signal));
      ledger = await ledgers.open(shard, signal);
      const startedMinute = room.time.nowMinute();
      await this.#walk(shard, ledger, count, signal);
      ledger.ledger.dropUnseen(startedMinute);
      ledger.ledger.summary = owned.finished(shard, count);
    } catch (error) {
      ledger?.giveUp();
      owned.failed(shard);
      if (!signal.aborted) room.observer.sweep('failed', room.clock.now() - startedMs);
      throw error;
    }
    room.observer.sweep('done', room.clock.now() - startedMs);
    this.#options.onNews();
    await ledger.save(signal).catch(ignoreFull);
    // Their lists take as long as those of chunks, and they give little room.
    if (!this.#options.isUrgent()) await this.#cleanUp(shard, signal);
  }

  /** Counts and evicts. */
  async #walk(shard: number, ledger: OpenLedger, count: ShardCount, signal: AbortSignal): Promise<void> {
    const { room, owned } = this.#options;
    const remover = this.#remover(shard, {
      lastRead: (high, low) => ledger.lastRead(high, low),
      isSuperseded: false,
      onKept: (chunk, kind) => {
        ledger.ledger.seen(chunk.high, chunk.low);
        const nowMs = room.time.nowMs();
        count.add(chunk, kind, nowMs === undefined || chunk.modifiedMs > nowMs - RECENT_MS);
      },
      onEvicted: (chunk) => {
        ledger.ledger.delete(chunk.high, chunk.low);
        // The accountant need not wait for the end of the sweep.
        owned.countOf(shard)?.removed(chunk);
      },
    });
    await remover.readPins(signal);
    for await (const entries of room.calls.list(shardPrefix(room.originId, shard), signal)) {
      // Its ledger is written by the new owner now.
      if (!room.shards.isMine(shard)) throw new OrcaError('cancelled', 'another replica owns the shard now');
      for (const { modifiedMs } of entries) room.time.seen(modifiedMs);
      for (const entry of entries) if (!(await remover.add(entry, signal))) count.addForeign();
    }
    await remover.flush(signal);
    this.#noteDeletions(remover);
  }

  async #cleanUp(shard: number, signal: AbortSignal): Promise<void> {
    const { pins, smallObjects } = this.#options;
    try {
      await pins.removeExpired(shard, signal);
      await smallObjects.sweep(shard, signal);
    } catch (error) {
      ignore(error, signal);
    }
  }

  async #removeSuperseded(signal: AbortSignal): Promise<void> {
    const { room, superseded, owned } = this.#options;
    const hex = superseded.next();
    if (hex === undefined) return;
    const shard = shardOf(hex);
    let left = 0;
    const remover = this.#remover(shard, {
      lastRead: () => undefined,
      isSuperseded: true,
      onKept: (_chunk, kind) => {
        if (kind !== 'pinned') left++;
      },
      onEvicted: (chunk) => owned.countOf(shard)?.removed(chunk),
    });
    await remover.readPins(signal);
    for await (const entries of room.calls.list(`${room.originId}/${hex}`, signal))
      for (const entry of entries) await remover.add(entry, signal);
    await remover.flush(signal);
    if (left === 0) superseded.removed(hex);
    this.#noteDeletions(remover);
  }

  get #mayDelete(): boolean {
    return this.#options.room.clock.now() >= this.#deleteAfterMs;
  }

  #noteDeletions({ failure, hasDeleted }: Remover): void {
    if (failure !== undefined) this.#deleteAfterMs = this.#pause(this.#deleteFailures++);
    else if (hasDeleted) this.#deleteFailures = 0;
  }

  #pause(failures: number): number {
    const { clock, random } = this.#options.room;
    return clock.now() + backoffMs(failures, BACKOFF_MS, BACKOFF_MAX_MS, 0.5 + random() / 2);
  }

  #remover(shard: number, options: Omit<RemoverOptions, 'shard' | 'pins' | 'cutoff' | 'mayEvict'>): Remover {
    const { room, evictions, obstacles, pins, cutoff } = this.#options;
    return new Remover(room, evictions, obstacles, {
      ...options,
      shard,
      cutoff,
      mayEvict: () => this.#mayDelete,
      pins: (isFresh, signal) => pins.of(shard, isFresh, signal),
    });
  }
}

/** What is not necessary for a sweep has another chance with the next one. */
function ignore(error: unknown, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (!hasCode(error, 'store_unavailable')) throw error;
}

/** The next ledgers find room once something has been evicted: a pause would be in the way. */
function ignoreFull(error: unknown): void {
  if (!(error instanceof OrcaError) || !isStoreFull(error)) throw error;
}
