/**
 * The bounded cachestore: what was read is remembered by chunk, the owners of shards count and evict, and the accountant
 * adds up and decides what is evicted. docs/internals/engine.md describes it.
 */
import { minuteOf, VERSION_DIGITS } from '#cache/core/capacity/chunk-key.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { decodeReport, type ReportParts } from '#cache/core/capacity/report-codec.ts';
import { DEFAULT_CAPACITY, type CapacitySettings } from '#cache/core/capacity/settings.ts';
import { ageClasses, type StoreAccount } from '#cache/core/capacity/store-account.ts';
import type { UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { chunkPathPrefix, chunkSizeFor, type ChunkPath, type ChunkTier } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectVersion } from '#cache/core/object.ts';
import { abortable } from '#shared/abortable.ts';
import type { Clock, Observer, PeerClient, PeerView } from '#cache/engine/ports.ts';
import type { GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { Accountant } from './accountant.ts';
import { Alarm } from '#shared/alarm.ts';
import { Evictions } from './evictions.ts';
import { Ledgers } from './ledgers.ts';
import { Obstacles } from './obstacles.ts';
import { OwnedShards } from './owned-shards.ts';
import { Pins } from './pins.ts';
import { ReadLog } from './read-log.ts';
import { Reporter } from './reporter.ts';
import type { Room } from './room.ts';
import { Shards } from './shards.ts';
import { SmallObjects } from './small-objects.ts';
import { StoreCalls } from './store-calls.ts';
import { StoreTime } from './store-time.ts';
import { StoreUsage } from './store-usage.ts';
import { Superseded } from './superseded.ts';
import { Sweeper } from './sweeper.ts';
import { VersionUseLookup } from './version-use.ts';

/** A commit that was refused longer ago would have been tried again, if there were still one. */
const FULL_MS = 45_000;
/** Ledgers at shutdown, of a replica that is the last one. */
const WRITERS = 2;

export interface CapacityOptions {
  readonly originId: string;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly store: GuardedStore;
  readonly peers: PeerView;
  readonly peerClient: Pick<PeerClient, 'reads' | 'usage'>;
  readonly clock: Clock;
  readonly observer: Observer;
  /** In [0, 1). */
  readonly random: () => number;
  /** May change at run time. Undefined = reads are not remembered, and nothing is counted or evicted. */
  readonly settings: (() => CapacitySettings) | undefined;
  /** How long manifests and lists are used. */
  readonly staleIfErrorMs: number;
  /** False until the origin's identity is verified: the chunks under its id may be those of another cache. */
  readonly mayDelete: () => boolean;
  /** The last commit failed because the cachestore is full. */
  readonly isFull: () => boolean;
  /** Something was evicted: commits that wait for room can be tried again. */
  readonly onRoom: () => void;
  /** A chunk was evicted. */
  readonly onEvicted: (path: ChunkPath) => void;
}

export interface Capacity {
  /** A client reads the chunk. `bucket`: the origin's name. */
  touch(path: ChunkPath, bucket: string): void;
  /** This replica has committed the chunk. */
  committed(path: ChunkPath, sizeBytes: number): void;
  /** The cachestore has refused a commit for lack of room. */
  full(): void;
  /** A newer version of the object is known. */
  superseded(version: ObjectVersion): void;
  /** `POST /internal/reads` of another replica. Throws `bad_request`. */
  receiveReads(report: Uint8Array): void;
  /** `POST /internal/usage` of another replica. Throws `bad_request`. */
  receiveUsage(report: UsageReport): UsageAnswer;
  /** As the accountant last told it; `counting` before that. */
  account(): StoreAccount;
  /** The cutoff in the accountant's last answer: chunks that were last read before it are evicted; undefined = none. */
  cutoffMinute(): number | undefined;
  /** As they are now. */
  settings(): CapacitySettings;
  /** The end of the oldest sweep of this replica's shards; undefined = not all have been swept. */
  oldestSweepMs(): number | undefined;
  readonly pins: Pins;
  readonly versionUse: VersionUseLookup;
  /** Background work, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** At shutdown: ends the background work, and sends or writes what has not been reported, until the signal aborts. */
  flush(signal: AbortSignal): Promise<void>;
}

export function openCapacity(options: CapacityOptions): Capacity {
  return new CapacityRoom(options);
}

class CapacityRoom implements Capacity {
  readonly #options: CapacityOptions;
  readonly #isOn: boolean;
  readonly #room: Room;
  readonly #log: ReadLog;
  readonly #ledgers: Ledgers;
  readonly #owned: OwnedShards;
  readonly #superseded: Superseded;
  readonly #evictions: Evictions;
  readonly #accountant: Accountant;
  readonly #usage: StoreUsage;
  readonly #reporter: Reporter;
  readonly #sweeper: Sweeper;
  readonly pins: Pins;
  readonly versionUse: VersionUseLookup;
  readonly #reportAlarm: Alarm;
  readonly #sweepAlarm: Alarm;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #fullMs = -Infinity;

  constructor(options: CapacityOptions) {
    const { clock, observer, originId, store, peers, random } = options;
    this.#options = options;
    this.#isOn = options.settings !== undefined;
    const obstacles = new Obstacles(observer);
    const calls = new StoreCalls(store, clock, obstacles, observer);
    const room = (this.#room = {
      originId,
      clock,
      observer,
      random,
      calls,
      settings: options.settings ?? (() => DEFAULT_CAPACITY),
      time: new StoreTime({ originId, calls, clock }),
      shards: new Shards(peers, originId),
    });
    this.#reportAlarm = new Alarm(clock);
    this.#sweepAlarm = new Alarm(clock);
    this.#log = new ReadLog({ clock, onFull: () => this.#reportAlarm.ring() });
    this.#ledgers = new Ledgers(room);
    this.#owned = new OwnedShards(room, this.#ledgers);
    this.#superseded = new Superseded(room);
    this.#evictions = new Evictions(room, {
      onRoom: options.onRoom,
      onEvicted: (name) => options.onEvicted(name as ChunkPath),
    });
    this.#usage = new StoreUsage(room, {
      alarm: new Alarm(clock),
      account: () => this.account(),
      mayWrite: options.mayDelete,
    });
    this.#accountant = new Accountant(room, {
      capacityBytes: () => this.#usage.capacityBytes,
      foreignBytes: () => this.#usage.foreignBytes,
    });
    this.pins = new Pins(room, () => this.account().capacityBytes);
    this.versionUse = new VersionUseLookup(room, this.#ledgers, () => this.account().chunks);
    const parts = {
      room,
      ledgers: this.#ledgers,
      owned: this.#owned,
      superseded: this.#superseded,
      evictions: this.#evictions,
      obstacles,
    };
    this.#reporter = new Reporter({
      ...parts,
      log: this.#log,
      alarm: this.#reportAlarm,
      peerClient: options.peerClient,
      isFull: () => options.isFull() && clock.now() - this.#fullMs < FULL_MS,
      receiveReads: (reported) => this.#receive(reported),
      receiveUsage: (report) => this.#accountant.receive(report),
      onAnswer: () => this.#sweepAlarm.ring(),
    });
    this.#sweeper = new Sweeper({
      ...parts,
      pins: this.pins,
      smallObjects: new SmallObjects(room, options.staleIfErrorMs),
      alarm: this.#sweepAlarm,
      cutoff: () => this.#reporter.cutoff,
      isUrgent: () => this.#reporter.isUrgent,
      mayDelete: options.mayDelete,
      onNews: () => this.#reporter.counted(),
    });
  }

  touch(path: ChunkPath, bucket: string): void {
    if (this.#isOn) this.#log.touch(path, bucket);
  }

  committed(path: ChunkPath, sizeBytes: number): void {
    if (this.#isOn) this.#log.commit(path, sizeBytes);
  }

  full(): void {
    this.#fullMs = this.#room.clock.now();
    if (!this.#reporter.isUrgent) this.#reportAlarm.ring();
  }

  superseded(version: ObjectVersion): void {
    if (!this.#isOn) return;
    const { sizeBytes, tiers } = this.#options.chunking;
    const prefix = chunkPathPrefix(version, chunkSizeFor(version.sizeBytes, sizeBytes, tiers));
    const from = version.originId.length + 1;
    this.#log.supersede(prefix.slice(from, from + VERSION_DIGITS));
  }

  receiveReads(report: Uint8Array): void {
    const { originId, ...parts } = decodeReport(report);
    if (originId !== this.#room.originId)
      throw new OrcaError('bad_request', 'origin_id differs: all replicas must have the same origin.id');
    if (this.#isOn) this.#receive(parts);
  }

  receiveUsage(report: UsageReport): UsageAnswer {
    return this.#accountant.receive(report);
  }

  account(): StoreAccount {
    return this.#reporter.last?.account ?? this.#unknown();
  }

  cutoffMinute(): number | undefined {
    return this.#reporter.cutoff?.minute;
  }

  settings(): CapacitySettings {
    return this.#room.settings();
  }

  oldestSweepMs(): number | undefined {
    if (!this.#owned.isComplete) return undefined;
    const swept = [...this.#owned.summaries().values()].map(({ sweptAtMs }) => sweptAtMs);
    return swept.length === 0 ? undefined : Math.min(...swept);
  }

  async run(signal: AbortSignal): Promise<void> {
    if (!this.#isOn) return;
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#running = this.#work(either);
    await this.#running;
  }

  async flush(signal: AbortSignal): Promise<void> {
    if (!this.#isOn) return;
    this.#stop.abort(new OrcaError('cancelled', 'the replica shuts down'));
    try {
      await abortable(this.#running, signal);
      await this.#reporter.reportReads(signal);
      const dirty = this.#ledgers.dirty();
      const write = async (): Promise<void> => {
        for (let shard = dirty.shift(); shard !== undefined; shard = dirty.shift())
          await this.#ledgers.write(shard, signal);
      };
      if (this.#options.mayDelete()) await Promise.all(Array.from({ length: WRITERS }, write));
    } catch (error) {
      // Lost reads cost precision only.
      if (!signal.aborted) this.#room.observer.warn('the last reads could not be recorded', { error });
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#reporter.run(signal), this.#sweeper.run(signal), this.#usage.run(signal)]);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** What a replica has served, committed and found superseded; also this one. */
  #receive(parts: ReportParts): void {
    this.#ledgers.merge(parts);
    this.#superseded.read(parts);
    this.#superseded.add(parts.superseded);
    for (const commit of parts.commits) {
      this.#evictions.committed(commit);
      this.#owned.committed(commit);
    }
    if (parts.superseded.length > 0) this.#sweepAlarm.ring();
  }

  #unknown(): StoreAccount {
    return {
      state: 'counting',
      usedBytes: 0,
      chunks: 0,
      pinnedBytes: 0,
      capacityBytes: this.#isOn ? this.#usage.capacityBytes : undefined,
      foreignBytes: 0,
      byBucket: new Map(),
      byAge: ageClasses(new Histogram(), minuteOf(this.#room.clock.date())),
      oldestReadMinute: undefined,
      lastSweepMs: undefined,
      oldestSweepMs: undefined,
      coveredShards: 0,
    };
  }
}
