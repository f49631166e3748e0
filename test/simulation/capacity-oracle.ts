/**
 * Judges what replicas delete from the cachestore, and what they believe to be there. It knows what is stored, what was
 * listed to whom, which versions are pinned, and when clients have read what; it uses no code of the engine's room.
 */
import type { EvictionReason } from '#cache/core/capacity/usage-codec.ts';
import type { Version } from './content.ts';
import type { Incarnation } from './replica.ts';
import { type CapacityPlan, type Fault, type Scenario } from './scenario.ts';
import { EPOCH_MS, type World } from './world.ts';

/** A chunk of this cache, as it is stored. */
export interface StoredChunk {
  readonly name: string;
  readonly version: Version;
  readonly lengthBytes: number;
  /** When it was stored. */
  readonly sinceMs: number;
}

/** A chunk that may have been written again after it was listed is deleted all the same, at most this much later. */
const LISTED_MS = 5 * 60_000;
/** A pin may be written between the last look at the pins and the removal, which takes less than this. */
const PIN_RACE_MS = 120_000;
/** A replica reports its reads at least this often, and a moment later they have arrived. */
const REPORTED_MS = 20_000;
/** Objects that replicas may delete under `_orca/`. */
const DELETED_PREFIXES = ['_orca/manifests/', '_orca/lists/', '_orca/probe/', '_orca/pins/'];
/** With these, reads may be unknown to the replica that evicts. */
export const LOSES_READS: readonly Fault[] = [
  'store-errors',
  'store-down',
  'store-slow',
  'store-full',
  'list-errors',
  'peer-errors',
  'report-errors',
  'partition',
  'freeze',
  'crash',
  'evictor-crash',
  'leave',
  'join',
  'skew',
  'clock-step',
  'worker-crash',
  'roll',
];

const SHARDS = 256;
/** How long a deletion for a cutoff may take after the cutoff has changed. */
const CUTOFF_MS = 5 * 60_000;
/** How much faster a chunk ages that was read once. */
const ONCE_SPEED = 4;
const MINUTE_MS = 60_000;
/** The share of the distance between the watermarks at which eviction may end. */
const END_TOLERANCE = 0.15;
/** A commit reaches the shard’s owner with a report of a minute, and the accountant with the owner’s next one. */
const REPORTED_AFTER_MS = 120_000;

interface Deed {
  readonly listed: Map<string, { readonly lengthBytes: number; readonly atMs: number }>;
  pinsListedMs: number;
  /** Since the last sweep. */
  hasFailedList: boolean;
  /** Of chunks that the store has reported as removed to this process, and of those that it has counted as evicted. */
  toldBytes: number;
  countedBytes: number;
  /** The last batch. */
  told: readonly Removed[];
  /** What the accountant wanted lately. */
  cutoffs: readonly { readonly minute: number; readonly atMs: number }[];
}

export type Evicted = Readonly<Record<EvictionReason, number>>;

interface Removed {
  readonly name: string;
  readonly lengthBytes: number;
  /** Undefined: another replica has removed it before. */
  readonly chunk: StoredChunk | undefined;
}

interface Pin {
  readonly hexes: ReadonlySet<string>;
  /** On the store's clock. */
  readonly expiresMs: number | undefined;
}

interface WrittenPin {
  readonly pin: Pin;
  readonly atMs: number;
}

export class CapacityOracle {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #plan: CapacityPlan | undefined;
  readonly #deeds = new Map<Incarnation, Deed>();
  readonly #planned = new Map<string, Pin>();
  /** By object name. */
  readonly #written = new Map<string, WrittenPin>();
  /** When requests for each chunk began, and when their bodies were complete. */
  readonly #reads = new Map<string, { readonly startedMs: number; readonly endedMs: number }[]>();
  /** Counted by the replicas, by reason; what a removal without an answer has deleted is not. */
  readonly evictedBytes: Record<EvictionReason, number> = { capacity: 0, idle: 0, superseded: 0, full: 0 };

  /** When chunks were last evicted, by reason. */
  readonly #evictedMs: Record<EvictionReason, number> = {
    capacity: -Infinity,
    idle: -Infinity,
    superseded: -Infinity,
    full: -Infinity,
  };

  /** Names that this cache has not written. */
  readonly foreign = new Set<string>();

  constructor(world: World, scenario: Scenario) {
    this.#world = world;
    this.#scenario = scenario;
    this.#plan = scenario.capacity;
  }

  // -- what happens

  listed(
    replica: Incarnation,
    prefix: string,
    cursor: string | undefined,
    entries: readonly { name: string; sizeBytes: number }[],
  ) {
    const deed = this.#of(replica);
    const atMs = this.#world.nowMs;
    if (prefix === '_orca/pins/' && cursor === undefined) deed.pinsListedMs = atMs;
    for (const { name, sizeBytes } of entries) deed.listed.set(name, { lengthBytes: sizeBytes, atMs });
  }

  /** The sweep of a shard has got an error instead of a page. */
  listFailed(replica: Incarnation, prefix: string): void {
    if (/^far\/..$/.test(prefix)) this.#of(replica).hasFailedList = true;
  }

  swept(replica: Incarnation, outcome: 'done' | 'failed'): void {
    const deed = this.#of(replica);
    if (outcome === 'done' && deed.hasFailedList)
      this.#world.violate('a cut list is an error', `${replica.owner.name} has counted a shard whose list failed`);
    deed.hasFailedList = false;
  }

  /** Someone will pin these versions under this name. */
  planPin(name: string, pin: Pin): void {
    this.#planned.set(name, pin);
  }

  wroteSmall(objectName: string): void {
    const [orca, pins, name] = objectName.split('/');
    if (orca !== '_orca' || pins !== 'pins' || name === undefined) return;
    this.#written.set(objectName, { pin: this.#planned.get(name)!, atMs: this.#world.nowMs });
  }

  /** A client has got all of a body that includes the chunk. */
  wasRead(path: string, startedMs: number): void {
    const reads = this.#reads.get(path) ?? [];
    reads.push({ startedMs, endedMs: this.#world.nowMs });
    this.#reads.set(path, reads);
  }

  /** The store deletes the name. `chunk`: what is stored there. */
  removing(replica: Incarnation, name: string, chunk: StoredChunk | undefined): void {
    if (chunk !== undefined) this.#checkChunk(replica, chunk);
    else if (name.startsWith('_orca/pins/')) this.#written.delete(name);
    else if (
      this.foreign.has(name) ||
      (!name.startsWith('far/') && !DELETED_PREFIXES.some((prefix) => name.startsWith(prefix)))
    )
      this.#world.violate('what is not ours stays', `${replica.owner.name} deletes ${name}`);
  }

  /** The store reports the names as removed. */
  told(
    replica: Incarnation,
    removed: readonly { readonly name: string; readonly chunk: StoredChunk | undefined }[],
  ): void {
    const deed = this.#of(replica);
    const chunks = removed.filter(({ name }) => name.startsWith('far/'));
    deed.told = chunks.map(({ name, chunk }) => ({
      name,
      chunk,
      lengthBytes: deed.listed.get(name)?.lengthBytes ?? 0,
    }));
    for (const { lengthBytes } of deed.told) deed.toldBytes += lengthBytes;
  }

  /** The replica counts what it has evicted. */
  counted(replica: Incarnation, reason: EvictionReason, lengthBytes: number, chunks: number): void {
    const deed = this.#of(replica);
    deed.countedBytes += lengthBytes;
    this.evictedBytes[reason] += lengthBytes;
    this.#evictedMs[reason] = this.#world.nowMs;
    // A batch of superseded versions has nothing else; others may be mixed.
    if (chunks !== deed.told.length) return;
    for (const { chunk } of deed.told) if (chunk !== undefined) this.#checkReason(replica, reason, chunk);
  }

  /** After each event. */
  check(replica: Incarnation): void {
    const deed = this.#of(replica);
    const { toldBytes, countedBytes } = deed;
    const { capacity } = replica.engine;
    const minute = capacity.cutoffMinute();
    if (minute !== undefined && minute !== deed.cutoffs.at(-1)?.minute) {
      const { nowMs } = this.#world;
      deed.cutoffs = [...deed.cutoffs.filter(({ atMs }) => nowMs - atMs < CUTOFF_MS), { minute, atMs: nowMs }];
    }
    const { coveredShards } = capacity.account();
    if (coveredShards > SHARDS)
      this.#world.violate(
        'no shard is counted twice',
        `${replica.owner.name} received the account of ${coveredShards} shards`,
      );
    if (toldBytes !== countedBytes)
      this.#world.violate(
        'every eviction is accounted for',
        `${replica.owner.name} counts ${countedBytes} evicted bytes, the cachestore has told it of ${toldBytes}`,
      );
  }

  // -- rules

  #checkChunk(replica: Incarnation, { name, sinceMs }: StoredChunk): void {
    const { nowMs } = this.#world;
    const deed = this.#of(replica);
    const listed = deed.listed.get(name);
    const ageMs = nowMs - sinceMs;
    const wasListed = listed !== undefined && nowMs - listed.atMs <= LISTED_MS;
    if (!wasListed)
      this.#world.violate(
        'what is young stays',
        `${replica.owner.name} deletes ${name}, which was not listed to it lately`,
      );
    // No store deletes on the condition of an age: a chunk that returned since it was listed goes with the one before.
    else if (ageMs < this.#minAgeMs && sinceMs <= listed.atMs)
      this.#world.violate('what is young stays', `${replica.owner.name} deletes ${name} at the age of ${ageMs} ms`);
    const pinnedBy = this.#pinsOf(name).find(([, { atMs }]) => atMs <= deed.pinsListedMs || nowMs - atMs > PIN_RACE_MS);
    if (pinnedBy !== undefined)
      this.#world.violate('what is pinned stays', `${replica.owner.name} deletes ${name}, which ${pinnedBy[0]} pins`);
  }

  #checkReason(replica: Incarnation, reason: EvictionReason, { name, version, sinceMs }: StoredChunk): void {
    const { nowMs } = this.#world;
    const { faults } = this.#scenario;
    const replacedMs = nowMs - version.diedMs;
    if (reason === 'superseded' && !faults.has('origin-flaps') && replacedMs < this.#minAgeMs)
      this.#world.violate(
        'what is young stays',
        `${replica.owner.name} deletes ${name} as superseded, ${replacedMs} ms after it was replaced`,
      );
    this.#checkUse(replica, reason, { name, sinceMs });
  }

  /** What was read lately stays, where no read gets lost. */
  #checkUse(
    replica: Incarnation,
    reason: EvictionReason,
    { name, sinceMs }: Pick<StoredChunk, 'name' | 'sinceMs'>,
  ): void {
    const { nowMs } = this.#world;
    const { faults } = this.#scenario;
    const { settings, storeBytes, clockOffsetMs = 0 } = this.#plan ?? {};
    const maxIdleMs = settings?.maxIdleMs;
    const losesReads = LOSES_READS.some((fault) => faults.has(fault)) || storeBytes !== undefined;
    const known = this.#reads.get(name)?.findLast(({ endedMs }) => endedMs < nowMs - REPORTED_MS);
    const usedMs = Math.max(sinceMs, known?.startedMs ?? 0);
    if (reason === 'capacity' && !losesReads && clockOffsetMs === 0) {
      const cutoff = Math.max(...this.#of(replica).cutoffs.map(({ minute }) => minute));
      const end = Math.floor((EPOCH_MS + nowMs) / MINUTE_MS) + 1;
      const oldest = end - ONCE_SPEED * (end - Math.floor((EPOCH_MS + usedMs) / MINUTE_MS));
      if (oldest >= cutoff)
        this.#world.violate(
          'what is read stays',
          `${replica.owner.name} deletes ${name}, used ${nowMs - usedMs} ms ago, in minute ${oldest}, for ${cutoff}`,
        );
    }
    if (reason !== 'idle') return;
    if (maxIdleMs === undefined) {
      this.#world.violate('what is read stays', `${replica.owner.name} deletes ${name} as idle without such a limit`);
      return;
    }
    if (!losesReads && nowMs - usedMs < maxIdleMs)
      this.#world.violate('what is read stays', `${replica.owner.name} deletes ${name}, used ${nowMs - usedMs} ms ago`);
  }

  /** The pins of a chunk that have not expired. */
  #pinsOf(name: string): [string, WrittenPin][] {
    const hex = name.split('/')[1] ?? '';
    const storeMs = this.storeMs;
    return [...this.#written].filter(
      ([, { pin }]) => pin.hexes.has(hex) && (pin.expiresMs === undefined || storeMs <= pin.expiresMs),
    );
  }

  isPinned(name: string): boolean {
    return this.#pinsOf(name).length > 0;
  }

  get storeMs(): number {
    return EPOCH_MS + this.#world.nowMs + (this.#plan?.clockOffsetMs ?? 0);
  }

  get #minAgeMs(): number {
    return this.#plan?.settings.minAgeMs ?? 0;
  }

  // -- at the end

  /** Whether replicas may not have reported their last eviction to all others yet. */
  get isReporting(): boolean {
    return this.#world.nowMs - Math.max(...Object.values(this.#evictedMs)) < REPORTED_AFTER_MS;
  }

  /**
   * Replicas have reported, swept and evicted until nothing is left to do. `evictedBefore`: what they had evicted when the
   * last request ended.
   */
  checkQuiet(live: readonly Incarnation[], stored: readonly StoredChunk[], evictedBefore: Evicted): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const sum = (chunks: readonly StoredChunk[]): number =>
      chunks.reduce((all, { lengthBytes }) => all + lengthBytes, 0);
    const usedBytes = sum(stored);
    const pinned = stored.filter(({ name }) => this.isPinned(name));
    for (const { owner, engine } of live) {
      const account = engine.capacity.account();
      const told = `${account.usedBytes} bytes in ${account.chunks} chunks, ${account.pinnedBytes} pinned, ${account.state}`;
      const isRight = account.usedBytes === usedBytes && account.chunks === stored.length;
      if (!isRight)
        this.#world.violate(
          'the account is right',
          `${owner.name} received ${told}; there are ${usedBytes} in ${stored.length}`,
        );
      const expiresSoon = plan.pins.some(({ expiresMs }) => expiresMs !== undefined);
      if (!expiresSoon && account.pinnedBytes !== sum(pinned))
        this.#world.violate('the account is right', `${owner.name} received ${told}; ${sum(pinned)} are pinned`);
      if (account.state === 'counting' || account.state === 'evicting')
        this.#world.violate('the account is right', `${owner.name} is still ${account.state}: ${told}`);
      const { capacityBytes } = account;
      if (capacityBytes === undefined) continue;
      const highBytes = (capacityBytes * plan.settings.highWatermark) / 100;
      if (usedBytes > highBytes && sum(pinned) <= highBytes)
        this.#world.violate(
          'the store is bounded',
          `${usedBytes} of ${capacityBytes} bytes are used, above ${highBytes}; ${owner.name} received ${told}`,
        );
      const lowBytes = (capacityBytes * plan.settings.lowWatermark) / 100;
      // A commit that was not reported yet when the last chunks were evicted.
      const lateBytes = sum(stored.filter(({ sinceMs }) => sinceMs > this.#evictedMs.capacity - REPORTED_AFTER_MS));
      const endBytes = lowBytes + (highBytes - lowBytes) * END_TOLERANCE + lateBytes;
      const hasEvicted = this.evictedBytes.capacity > evictedBefore.capacity;
      if (hasEvicted && usedBytes > endBytes && sum(pinned) < usedBytes)
        this.#world.violate(
          'the store is bounded',
          `eviction has ended above ${endBytes}; ${owner.name} received ${told}`,
        );
      if (account.state === 'over_capacity' && usedBytes <= highBytes)
        this.#world.violate('the account is right', `${owner.name} is over capacity with ${told} of ${capacityBytes}`);
    }
  }

  #of(replica: Incarnation): Deed {
    let deed = this.#deeds.get(replica);
    if (deed === undefined) {
      deed = {
        listed: new Map(),
        pinsListedMs: -Infinity,
        hasFailedList: false,
        toldBytes: 0,
        countedBytes: 0,
        told: [],
        cutoffs: [],
      };
      this.#deeds.set(replica, deed);
    }
    return deed;
  }
}
