/**
 * Adds up what the owners of shards report, and decides what is evicted. Only reports of the accountant's own view of the
 * replicas count: within one view each shard has one owner, so that none is counted twice.
 */
import { addByBucket } from '#cache/core/capacity/bucket-names.ts';
import { SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { effectiveMinute, planEviction, type EvictionPlan } from '#cache/core/capacity/cutoff.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { ageClasses, type AccountState, type StoreAccount } from '#cache/core/capacity/store-account.ts';
import type { UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { REPORT_MS, REPORT_TIMEOUT_MS, reportIntervalMs } from './intervals.ts';
import type { Room } from './room.ts';
import { byMinute, lastTickOf, minuteOfTick } from './ticks.ts';

/** A replica that has not reported for longer may have ended, and its shards may have changed. */
const KEPT_SWEEPS = 2;
const KEPT_REPORTS = 3;
/** A full cachestore gets this much room at once, so that commits do not wait for the next sweep. */
const FULL_SHARE = 0.05;
/** Each time that was not enough, twice as much is evicted: otherwise a small store would get room for one chunk in a minute. */
const MAX_FULL_SHARE = 0.2;
/** The replicas' next commits show whether that was enough: each tries again within half of this time. */
const FULL_PAUSE_MS = 60_000;

/** Chunks that were read within it are evicted only if what clients read is larger than the cachestore. */
const RECENT_MINUTES = 60;

interface Received {
  readonly report: UsageReport;
  readonly atMs: number;
  /** What its sender may free until its next report, which will show what it has freed. */
  grantedBytes: number;
}

interface Totals {
  readonly covered: number;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  /** By tick. */
  readonly evictable: Histogram;
  readonly byBucket: Map<string, number>;
  readonly isFull: boolean;
  readonly deniedReason: string | undefined;
  readonly lastSweepMs: number | undefined;
  readonly oldestSweepMs: number | undefined;
}

export interface AccountantOptions {
  /** As configured, or the size of the file system. */
  readonly capacityBytes: () => number | undefined;
  /** What other caches have in the same store. */
  readonly foreignBytes: () => number;
}

export class Accountant {
  readonly #room: Room;
  readonly #options: AccountantOptions;
  #received: Received[] = [];
  #isEvicting = false;
  /** What is to be left at most, once a full store has got some room. */
  #fullGoalBytes: number | undefined;
  #fullPauseUntilMs = -Infinity;
  /** The goals reached since the cachestore became full. */
  #fullRounds = 0;

  constructor(room: Room, options: AccountantOptions) {
    this.#room = room;
    this.#options = options;
  }

  /** Throws `bad_request` for the report of another cache. */
  receive(report: UsageReport): UsageAnswer {
    const { originId, shards, clock } = this.#room;
    if (report.originId !== originId)
      throw new OrcaError('bad_request', 'origin_id differs: all replicas must have the same origin.id');
    const received = { report, atMs: clock.now(), grantedBytes: 0 };
    const isOfView = report.epoch === shards.epoch;
    if (isOfView) {
      // Two reports that cover the same shard are from the same replica.
      const covered = new Set(report.covered);
      this.#received = this.#received.filter((other) => !other.report.covered.some((shard) => covered.has(shard)));
      this.#received.push(received);
    }
    return this.#answer(isOfView ? received : undefined);
  }

  /** A replica with another view of the owners gets the account only. */
  #answer(received: Received | undefined): UsageAnswer {
    const nowMinute = this.#room.time.nowMinute();
    const totals = this.#totals();
    const isCounted = totals.covered === SHARDS;
    const plan = isCounted ? this.#plan(totals, nowMinute) : undefined;
    const { cutoffMinute } = plan ?? {};
    return {
      account: this.#account(totals, plan, nowMinute),
      ...(received !== undefined &&
        plan !== undefined &&
        cutoffMinute !== undefined && {
          cutoffMinute: minuteOfTick(cutoffMinute),
          atMinute: nowMinute,
          freeBytes: this.#grant(received, plan.freeBytes, shareBelow(received, totals, cutoffMinute, nowMinute)),
        }),
      // Sweeps that cannot free anything need not hurry.
      urgent:
        (totals.isFull || this.#fullGoalBytes !== undefined) &&
        totals.deniedReason === undefined &&
        (plan === undefined || cutoffMinute !== undefined),
    };
  }

  /**
   * A cutoff may be too high for what is missing: what has become old enough at other replicas since their last reports is
   * not known. So all grants together are no more than is missing.
   */
  #grant(received: Received, freeBytes: number, share: number): number {
    let otherBytes = 0;
    for (const other of this.#received) if (other !== received) otherBytes += other.grantedBytes;
    received.grantedBytes = Math.max(0, Math.ceil(Math.min(freeBytes * share, freeBytes - otherBytes)));
    return received.grantedBytes;
  }

  #totals(): Totals {
    const { clock, shards, settings } = this.#room;
    const keptMs = Math.max(KEPT_SWEEPS * settings().sweepIntervalMs, KEPT_REPORTS * REPORT_MS);
    // A report without shards cannot be matched with its replica's next one: it counts until that one is late.
    const uncoveredMs = reportIntervalMs(settings(), false) + REPORT_TIMEOUT_MS;
    const nowMs = clock.now();
    this.#received = this.#received.filter(
      ({ report, atMs }) =>
        report.epoch === shards.epoch && nowMs - atMs <= (report.covered.length === 0 ? uncoveredMs : keptMs),
    );
    const reports = this.#received.map(({ report }) => report);
    const sum = (field: (report: UsageReport) => number): number => reports.reduce((all, one) => all + field(one), 0);
    const evictable = new Histogram();
    const byBucket = new Map<string, number>();
    for (const report of reports) {
      evictable.merge(report.evictable);
      addByBucket(byBucket, report.byBucket);
    }
    const covered = sum((report) => report.covered.length);
    const isCounted = covered === SHARDS;
    const sweptMs = (field: 'lastSweepMs' | 'oldestSweepMs', pick: (...ms: number[]) => number): number | undefined => {
      const times = reports.map((report) => report[field]).filter((ms) => ms !== undefined);
      return isCounted && times.length > 0 ? pick(...times) : undefined;
    };
    return {
      covered,
      usedBytes: sum(({ bytes }) => bytes),
      chunks: sum(({ chunks }) => chunks),
      pinnedBytes: sum(({ pinnedBytes }) => pinnedBytes),
      evictable,
      byBucket,
      isFull: reports.some(({ isFull }) => isFull),
      deniedReason: reports.find(({ deniedReason }) => deniedReason !== undefined)?.deniedReason,
      lastSweepMs: sweptMs('lastSweepMs', Math.max),
      oldestSweepMs: sweptMs('oldestSweepMs', Math.min),
    };
  }

  /** Two goals: the low watermark, and some room in a store that is full. The one that frees more counts. */
  #plan({ usedBytes, evictable, isFull }: Totals, nowMinute: number): EvictionPlan {
    const { highWatermark, lowWatermark } = this.#room.settings();
    const figures = { usedBytes, histogram: evictable, nowMinute: lastTickOf(nowMinute) };
    const capacityBytes = this.#options.capacityBytes();
    const byCapacity = planEviction({
      ...figures,
      capacityBytes,
      highWatermark,
      lowWatermark,
      isEvicting: this.#isEvicting,
    });
    this.#isEvicting = byCapacity.isEvicting;
    const goalBytes = this.#updateFullGoal(usedBytes, isFull);
    if (goalBytes === undefined || usedBytes - goalBytes <= byCapacity.freeBytes) return byCapacity;
    const marks = { highWatermark: 100, lowWatermark: 100, isEvicting: true };
    return planEviction({ ...figures, ...marks, capacityBytes: goalBytes });
  }

  /**
   * The goal is set once, and holds until it is reached: a replica without further commits does not find out that there is
   * room again, and must not make the store ever emptier.
   */
  #updateFullGoal(usedBytes: number, isFull: boolean): number | undefined {
    const { clock } = this.#room;
    const nowMs = clock.now();
    if (this.#fullGoalBytes !== undefined && usedBytes <= this.#fullGoalBytes) {
      this.#fullGoalBytes = undefined;
      this.#fullPauseUntilMs = nowMs + FULL_PAUSE_MS;
      this.#fullRounds++;
    }
    const isPaused = nowMs < this.#fullPauseUntilMs;
    if (!isFull) this.#fullGoalBytes = undefined;
    if (!isFull && !isPaused) this.#fullRounds = 0;
    const share = Math.min(FULL_SHARE * 2 ** this.#fullRounds, MAX_FULL_SHARE);
    if (isFull && !isPaused) this.#fullGoalBytes ??= Math.floor(usedBytes * (1 - share));
    return this.#fullGoalBytes;
  }

  #account(totals: Totals, plan: EvictionPlan | undefined, nowMinute: number): StoreAccount {
    const { covered, usedBytes, chunks, pinnedBytes, byBucket, lastSweepMs, oldestSweepMs } = totals;
    const evictable = byMinute(totals.evictable);
    const blocked = totals.deniedReason ?? blockOf(plan, nowMinute);
    return {
      state: this.#state(totals, plan, blocked !== undefined),
      usedBytes,
      chunks,
      pinnedBytes,
      capacityBytes: this.#options.capacityBytes(),
      foreignBytes: this.#options.foreignBytes(),
      byBucket,
      byAge: ageClasses(evictable, nowMinute),
      oldestReadMinute: evictable.entries()[0]?.minute,
      lastSweepMs,
      oldestSweepMs,
      coveredShards: covered,
      ...(blocked !== undefined && { blocked }),
    };
  }

  #state({ covered, isFull }: Totals, plan: EvictionPlan | undefined, isBlocked: boolean): AccountState {
    if (isFull || this.#fullGoalBytes !== undefined) return 'full';
    if (covered < SHARDS || plan === undefined) return 'counting';
    const hasToGo = plan.cutoffMinute !== undefined || plan.freeBytes > 0;
    if (!hasToGo) return 'ok';
    return isBlocked ? 'over_capacity' : 'evicting';
  }
}

/** What share of the bytes below a cutoff a replica has. */
function shareBelow({ report }: Received, { evictable }: Totals, cutoffTick: number, nowMinute: number): number {
  const allBytes = bytesBelow(cutoffTick, nowMinute, evictable);
  return allBytes === 0 ? 0 : Math.min(1, bytesBelow(cutoffTick, nowMinute, report.evictable) / allBytes);
}

function bytesBelow(cutoffTick: number, nowMinute: number, histogram: Histogram): number {
  const nowTick = lastTickOf(nowMinute);
  let bytes = 0;
  for (const { minute: tick, provenBytes, onceBytes } of histogram.entries()) {
    if (effectiveMinute({ minute: tick, isProven: true }, tick, 0, nowTick) < cutoffTick) bytes += provenBytes;
    if (effectiveMinute({ minute: tick, isProven: false }, tick, 0, nowTick) < cutoffTick) bytes += onceBytes;
  }
  return bytes;
}

/**
 * Why eviction does not reach its goal. `recent`: even chunks that were read within the last hour are evicted. `plan` is in
 * ticks.
 */
function blockOf(plan: EvictionPlan | undefined, nowMinute: number): 'nothing_evictable' | 'recent' | undefined {
  if (plan?.blocked === 'nothing_evictable' || plan?.cutoffMinute === undefined) return plan?.blocked;
  return minuteOfTick(plan.cutoffMinute) > nowMinute + 1 - RECENT_MINUTES ? 'recent' : undefined;
}
