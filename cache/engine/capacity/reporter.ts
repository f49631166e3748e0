/**
 * Reports what this replica has served to the owners of the shards, and what its own shards hold to the accountant; keeps
 * the accountant's answer.
 */
import { decodeReport, encodeReport, type ReportParts } from '#cache/core/capacity/report-codec.ts';
import type { UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { addByBucket } from '#cache/core/capacity/bucket-names.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import type { Alarm } from '#shared/alarm.ts';
import type { Obstacles } from './obstacles.ts';
import type { Evictions } from './evictions.ts';
import { REPORT_TIMEOUT_MS, reportIntervalMs } from './intervals.ts';
import type { Ledgers } from './ledgers.ts';
import type { OwnedShards } from './owned-shards.ts';
import type { ReadLog } from './read-log.ts';
import type { Cutoff } from './remover.ts';
import type { Room } from './room.ts';
import type { Superseded } from './superseded.ts';

/** An answer may be lost; after that the accountant is not there, and what it wanted has been done or is outdated. */
const KEPT_ANSWERS = 3;

/** Replicas come and go with new addresses. */
const MAX_FAILING = 1_000;

export interface ReporterOptions {
  readonly room: Room;
  readonly log: ReadLog;
  readonly ledgers: Ledgers;
  readonly owned: OwnedShards;
  readonly superseded: Superseded;
  readonly evictions: Evictions;
  readonly obstacles: Obstacles;
  readonly alarm: Alarm;
  readonly peerClient: Pick<PeerClient, 'reads' | 'usage'>;
  /** The cachestore refuses this replica's chunks for lack of room. */
  readonly isFull: () => boolean;
  /** What this replica reports to itself. */
  readonly receiveReads: (parts: ReportParts) => void;
  readonly receiveUsage: (report: UsageReport) => UsageAnswer;
  /** The cutoff or the urgency has changed. */
  readonly onAnswer: () => void;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #answer:
    | {
        readonly answer: UsageAnswer;
        readonly cutoff: Cutoff | undefined;
        readonly epoch: string;
        readonly atMs: number;
      }
    | undefined;
  /** Logged once, until they respond. */
  readonly #failing = new Set<string>();
  /** The last report was about all of our shards. */
  #wasComplete = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { room, alarm } = this.#options;
    while (!signal.aborted) {
      try {
        await this.report(signal);
      } catch (error) {
        if (!signal.aborted) room.observer.warn('a report failed unexpectedly', { error });
      }
      await alarm.sleep(reportIntervalMs(room.settings(), this.isUrgent), signal);
    }
  }

  async report(signal: AbortSignal): Promise<void> {
    this.#options.owned.update();
    await this.reportReads(signal);
    await this.#reportUsage(signal);
  }

  /** The accountant's last answer, however old. */
  get last(): UsageAnswer | undefined {
    return this.#answer?.answer;
  }

  /** Which chunks are evicted now. */
  get cutoff(): Cutoff | undefined {
    return this.#current?.cutoff;
  }

  get isUrgent(): boolean {
    return this.#current?.answer.urgent === true;
  }

  /** All our shards have been counted: the accountant waits for that. */
  counted(): void {
    const { owned, alarm } = this.#options;
    if (!this.#wasComplete && owned.isComplete) alarm.ring();
  }

  /** Sends what was served since the last report, and what belongs to shards that other replicas own now. */
  async reportReads(signal: AbortSignal): Promise<void> {
    const { room, log, ledgers, superseded, receiveReads } = this.#options;
    const { shards } = room;
    const isForeign = (shard: number): boolean => !shards.isMine(shard);
    const moved = { ...ledgers.takeWhere(isForeign), commits: [], superseded: superseded.takeWhere(isForeign) };
    if (moved.reads.size + moved.superseded.length > 0) log.restore(moved);
    const sending: Promise<void>[] = [];
    for (const [owner, parts] of log.take((shard) => shards.ownerOf(shard)))
      if (owner === shards.self) receiveReads(parts);
      else sending.push(this.#send(owner, parts, signal));
    await Promise.all(sending);
  }

  async #send(owner: PeerAddress, parts: ReportParts, signal: AbortSignal): Promise<void> {
    const { room, log, peerClient } = this.#options;
    const { originId, shards } = room;
    const messages = encodeReport({ originId, epoch: shards.epoch, ...parts });
    let sent = 0;
    const isSent = await this.#attempt(`reads ${owner}`, signal, async (bounded) => {
      for (const message of messages) {
        await peerClient.reads(owner, message, { signal: bounded });
        sent++;
      }
      return true;
    });
    if (isSent !== true) for (const message of messages.slice(sent)) log.restore(decodeReport(message));
  }

  async #reportUsage(signal: AbortSignal): Promise<void> {
    const { room, owned, peerClient, receiveUsage, onAnswer } = this.#options;
    const { shards, clock } = room;
    const { epoch } = shards;
    const accountant = shards.accountant();
    const report = this.#usage();
    this.#wasComplete = report.covered.length === owned.size;
    const answer =
      accountant === shards.self
        ? receiveUsage(report)
        : await this.#attempt(`usage ${accountant}`, signal, (bounded) =>
            peerClient.usage(accountant, report, { signal: bounded }),
          );
    if (answer === undefined) return;
    this.#answer = { answer, cutoff: cutoffOf(answer), epoch, atMs: clock.now() };
    onAnswer();
  }

  #usage(): UsageReport {
    const { room, owned, evictions, obstacles, isFull } = this.#options;
    const { originId, shards } = room;
    const evictable = new Histogram();
    const byBucket = new Map<string, number>();
    const totals = { bytes: 0, chunks: 0, pinnedBytes: 0 };
    const summaries = owned.summaries();
    for (const summary of summaries.values()) {
      evictable.merge(summary.evictable);
      addByBucket(byBucket, summary.byBucket);
      totals.bytes += summary.bytes;
      totals.chunks += summary.chunks;
      totals.pinnedBytes += summary.pinnedBytes;
    }
    const sweptMs = [...summaries.values()].map(({ sweptAtMs }) => sweptAtMs);
    const { reason } = obstacles;
    return {
      originId,
      epoch: shards.epoch,
      covered: [...summaries.keys()],
      ...totals,
      // The receiver may be this process: it must not change what is counted here.
      evictable: evictable.compact(),
      byBucket,
      isFull: isFull(),
      ...(reason !== undefined && { deniedReason: reason }),
      lastSweepMs: sweptMs.length === 0 ? undefined : Math.max(...sweptMs),
      oldestSweepMs: sweptMs.length === 0 ? undefined : Math.min(...sweptMs),
      evictedBytes: evictions.bytes,
    };
  }

  /** Undefined if the peer did not respond, or the call was refused. */
  async #attempt<T>(
    what: string,
    signal: AbortSignal,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const { room } = this.#options;
    const late = () => new OrcaError('peer_unavailable', `no answer within ${REPORT_TIMEOUT_MS} ms`);
    try {
      const answer = await withDeadline(room.clock, REPORT_TIMEOUT_MS, late, signal, call);
      this.#failing.delete(what);
      return answer;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!hasCode(error, 'peer_unavailable', 'overloaded', 'bad_request', 'not_coordinator')) throw error;
      if (!this.#failing.has(what)) room.observer.warn('a report was not delivered to a peer', { what, error });
      if (this.#failing.size >= MAX_FAILING) this.#failing.clear();
      this.#failing.add(what);
      return undefined;
    }
  }

  get #current() {
    const { clock, settings, shards } = this.#options.room;
    if (this.#answer === undefined || this.#answer.epoch !== shards.epoch) return undefined;
    const keptMs = KEPT_ANSWERS * reportIntervalMs(settings(), false);
    return clock.now() - this.#answer.atMs <= keptMs ? this.#answer : undefined;
  }
}

function cutoffOf({ cutoffMinute, atMinute, freeBytes, account }: UsageAnswer): Cutoff | undefined {
  if (cutoffMinute === undefined || atMinute === undefined || freeBytes === undefined) return undefined;
  const reason = account.state === 'full' ? 'full' : 'capacity';
  return { minute: cutoffMinute, atMinute, reason, quota: { leftBytes: freeBytes } };
}
