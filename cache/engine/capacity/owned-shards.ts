/** The shards of this replica: what each holds, and when each is swept. */
import type { CommittedChunk } from '#cache/core/capacity/report-codec.ts';
import type { ShardSummary } from '#cache/core/capacity/shard-summary.ts';
import type { Ledgers } from './ledgers.ts';
import type { Room } from './room.ts';
import { ShardCount } from './shard-count.ts';

/** A summary of another replica, or from before a restart, that is older than this many sweeps says too little. */
const KEPT_SWEEPS = 2;
/** Commits that are reported while the shard is swept; more are counted by the next sweep. */
const MAX_PENDING = 10_000;

interface Shard {
  /** Undefined = nothing is known about the shard. */
  count: ShardCount | undefined;
  /** Its ledger's summary has been read, or could not be. */
  isLoaded: boolean;
  /** When this process began to sweep it, monotonic; undefined = not yet. */
  startedMs: number | undefined;
  /** Commits that were reported since the sweep began; undefined = it is not being swept. */
  pending: CommittedChunk[] | undefined;
}

export interface NextSweep {
  readonly shard: number;
  readonly dueMs: number;
  readonly isFast: boolean;
}

export class OwnedShards {
  readonly #room: Room;
  readonly #ledgers: Ledgers;
  #epoch: string | undefined;
  #shards = new Map<number, Shard>();

  constructor(room: Room, ledgers: Ledgers) {
    this.#room = room;
    this.#ledgers = ledgers;
  }

  /** Follows the view of the replicas. */
  update(): void {
    const { shards } = this.#room;
    const epoch = `${shards.epoch} ${shards.self}`;
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    const before = this.#shards;
    this.#shards = new Map();
    for (const shard of shards.mine())
      this.#shards.set(
        shard,
        before.get(shard) ?? { count: undefined, isLoaded: false, startedMs: undefined, pending: undefined },
      );
  }

  get size(): number {
    return this.#shards.size;
  }

  /** Something is known about all of them. */
  get isComplete(): boolean {
    return [...this.#shards.values()].every(({ count }) => count !== undefined);
  }

  /** Reads what the last sweep of another replica, or of our predecessor, has found. Resolves with false when all are read. */
  async loadOne(signal: AbortSignal): Promise<boolean> {
    const next = [...this.#shards].find(([, { isLoaded }]) => !isLoaded);
    if (next === undefined) return false;
    const [number, shard] = next;
    shard.isLoaded = true;
    if (shard.count !== undefined) return true;
    const { summary } = await this.#ledgers.load(number, signal);
    const keptMs = KEPT_SWEEPS * this.#room.settings().sweepIntervalMs;
    if (summary !== undefined && this.#nowMs() - summary.sweptAtMs < keptMs) shard.count ??= ShardCount.of(summary);
    return true;
  }

  get needsLoading(): boolean {
    return [...this.#shards.values()].some(({ isLoaded }) => !isLoaded);
  }

  /**
   * Which shard is swept next, and when, if a round takes `roundMs`. Those that this process has not swept so far are first;
   * those about which nothing is known come again after `fastMs`.
   */
  next(roundMs: number, fastMs: number): NextSweep | undefined {
    let next: NextSweep | undefined;
    for (const [shard, { startedMs = -Infinity, count }] of this.#shards) {
      const isFast = startedMs === -Infinity || count === undefined;
      const dueMs = startedMs + (isFast ? Math.min(roundMs, fastMs) : roundMs);
      if (next === undefined || dueMs < next.dueMs) next = { shard, dueMs, isFast };
    }
    return next;
  }

  /** The sweep of a shard begins; its count is replaced by `finished`. */
  began(number: number): ShardCount {
    const shard = this.#shards.get(number);
    if (shard !== undefined) {
      shard.startedMs = this.#room.clock.now();
      shard.pending = [];
    }
    return new ShardCount(this.#nowMs());
  }

  finished(number: number, count: ShardCount): ShardSummary {
    count.sweptAtMs = this.#nowMs();
    const shard = this.#shards.get(number);
    if (shard !== undefined) {
      shard.count = count;
      for (const commit of shard.pending ?? []) count.commit(commit, this.#room.time.nowMinute());
      shard.pending = undefined;
    }
    return this.#summaryOf(count);
  }

  failed(number: number): void {
    const shard = this.#shards.get(number);
    if (shard === undefined) return;
    // They may have been counted by pages that are lost now: the old count continues.
    for (const commit of shard.pending ?? []) shard.count?.commit(commit, this.#room.time.nowMinute());
    shard.pending = undefined;
  }

  /** A replica has reported a commit. */
  committed(commit: CommittedChunk): void {
    const shard = this.#shards.get(commit.shard);
    if (shard?.pending === undefined) shard?.count?.commit(commit, this.#room.time.nowMinute());
    else if (shard.pending.length < MAX_PENDING) shard.pending.push(commit);
  }

  countOf(number: number): ShardCount | undefined {
    return this.#shards.get(number)?.count;
  }

  /** The summaries of the shards about which something is known. */
  summaries(): Map<number, ShardSummary> {
    const summaries = new Map<number, ShardSummary>();
    for (const [number, { count }] of this.#shards)
      if (count !== undefined) summaries.set(number, this.#summaryOf(count));
    return summaries;
  }

  #summaryOf(count: ShardCount): ShardSummary {
    return count.summary(this.#room.time.nowMs(), this.#room.settings().minAgeMs);
  }

  #nowMs(): number {
    return this.#room.clock.date();
  }
}
