/** Pins: versions that must not be evicted. Each pin has an object in the cachestore for each shard with such versions. */
import { SHARDS, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { isPinName, parsePinObjectName, pinObjectName, PINS_PREFIX, PinSet } from '#cache/core/capacity/pins.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { StoredEntry } from '#cache/engine/ports.ts';
import { forEachParallel } from '#shared/for-each-parallel.ts';
import type { Room } from './room.ts';

/** 25,600 objects, which 26 lists show. */
export const MAX_PINS = 100;
/** A sweep of many shards need not list the pins for each. Before anything is deleted they are listed in any case. */
const LISTED_MS = 30_000;
/** As many calls as the room has at once. */
const WRITERS = 2;
/** S3 tells times to the second: an object that is older when it is read has another time once it is replaced. */
const RESOLUTION_MS = 2_000;

export interface PinnedVersion {
  /** The version's 64 hex digits. */
  readonly versionHex: string;
  /** The size of its chunks. */
  readonly sizeBytes: number;
}

export interface PinSummary {
  readonly name: string;
  /** Null = until it is removed. */
  readonly expiresMs: number | null;
  readonly sizeBytes: number;
  readonly versions: number;
}

export interface PinRequest {
  readonly name: string;
  readonly expiresMs: number | null;
  readonly versions: Iterable<PinnedVersion>;
}

export class Pins {
  readonly #room: Room;
  readonly #capacityBytes: () => number | undefined;
  #listed: { readonly entries: readonly StoredEntry[]; readonly atMs: number } | undefined;
  /** The pins of the shard that is swept, by object name, time of modification and size. */
  #sets = new Map<string, { readonly set: PinSet; readonly isFinal: boolean }>();
  #shard: number | undefined;

  constructor(room: Room, capacityBytes: () => number | undefined) {
    this.#room = room;
    this.#capacityBytes = capacityBytes;
  }

  /**
   * The pins of a shard that have not expired. `isFresh`: including any that was written before this call. Rejects if one
   * cannot be read: then nothing may be evicted from the shard.
   */
  async of(shard: number, isFresh: boolean, signal: AbortSignal): Promise<readonly PinSet[]> {
    if (shard !== this.#shard) this.#sets = new Map();
    this.#shard = shard;
    const entries = await this.#entries(isFresh, signal);
    const known = this.#sets;
    const sets: typeof known = new Map();
    for (const { name, modifiedMs, sizeBytes } of entries) {
      if (parsePinObjectName(name)?.shard !== shard) continue;
      const version = `${name} ${modifiedMs} ${sizeBytes}`;
      const before = known.get(version);
      const isFinal = (this.#room.time.nowMs() ?? 0) - modifiedMs > RESOLUTION_MS;
      const set = before?.isFinal === true ? before.set : await this.#read(name, signal);
      if (set !== undefined) sets.set(version, { set, isFinal });
    }
    this.#sets = sets;
    return [...sets.values()].map(({ set }) => set).filter(({ header }) => !this.#hasExpired(header));
  }

  /** Adds or replaces a pin. Rejects with invalid_argument. */
  async put({ name, expiresMs, versions }: PinRequest, signal: AbortSignal): Promise<void> {
    const objects = [...byShard(versions)].map(([shard, pinned]) => ({
      objectName: pinObjectName(name, shard),
      body: PinSet.of(
        { name, expiresMs, bytes: pinned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) },
        pinned.map(({ versionHex }) => versionHex),
      ).encode(),
    }));
    requireCount(name, await this.list(signal));
    for (const { objectName, body } of objects) await this.#room.calls.putSmall(objectName, body, signal);
    const kept = new Set(objects.map(({ objectName }) => objectName));
    await this.#remove(name, (objectName) => !kept.has(objectName), signal);
  }

  /**
   * Adds versions to a pin, which exists from then on. Resolves with the size of those that it did not have. Rejects with
   * invalid_argument.
   */
  async add(name: string, versions: Iterable<PinnedVersion>, signal: AbortSignal): Promise<number> {
    let addedBytes = 0;
    await forEachParallel(byShard(versions), WRITERS, async ([shard, pinned]) => {
      // Not `+=` with `await`: the other writer may add meanwhile.
      const shardBytes = await this.#addToShard(name, shard, pinned, signal);
      addedBytes += shardBytes;
    });
    return addedBytes;
  }

  /** Sets when a pin expires: after `ttlMs`, by the store's time. */
  async expireAfter(name: string, ttlMs: number, signal: AbortSignal): Promise<void> {
    const expiresMs = Math.ceil((this.#room.time.nowMs() ?? this.#room.clock.date()) + ttlMs);
    for (const entry of await this.#entries(true, signal)) {
      if (parsePinObjectName(entry.name)?.name !== name) continue;
      const set = await this.#read(entry.name, signal);
      if (set === undefined) continue;
      await this.#room.calls.putSmall(entry.name, set.with({ ...set.header, expiresMs }, []).encode(), signal);
    }
  }

  /** Its chunks may be evicted from now on. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    if (!isPinName(name)) throw new OrcaError('invalid_argument', `there is no pin ${JSON.stringify(name)}`);
    await this.#remove(name, () => true, signal);
  }

  /** By name. Reads one object for each pin and shard: for people, not for sweeps. */
  async list(signal: AbortSignal): Promise<readonly PinSummary[]> {
    const pins = new Map<string, PinSummary>();
    for (const entry of await this.#entries(true, signal)) {
      const parsed = parsePinObjectName(entry.name);
      const set = parsed && (await this.#read(entry.name, signal));
      if (set === undefined || this.#hasExpired(set.header)) continue;
      const { name, expiresMs, bytes } = set.header;
      const before = pins.get(name);
      pins.set(name, {
        name,
        expiresMs,
        sizeBytes: (before?.sizeBytes ?? 0) + bytes,
        versions: (before?.versions ?? 0) + set.size,
      });
    }
    return [...pins.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Rejects with invalid_argument if `sizeBytes`, instead of what a pin of that name has, would be too much. `replaced`:
   * another pin that will be removed.
   */
  async requireRoom(name: string, sizeBytes: number, signal: AbortSignal, replaced = name): Promise<void> {
    const pins = await this.list(signal);
    requireCount(name, pins);
    const capacityBytes = this.#capacityBytes();
    if (capacityBytes === undefined) return;
    const { maxPinned } = this.#room.settings();
    const limitBytes = Math.floor((capacityBytes * maxPinned) / 100);
    let pinnedBytes = 0;
    for (const pin of pins) if (pin.name !== name && pin.name !== replaced) pinnedBytes += pin.sizeBytes;
    if (pinnedBytes + sizeBytes <= limitBytes) return;
    throw new OrcaError(
      'invalid_argument',
      `pin ${name} has ${sizeBytes} bytes, and other pins have ${pinnedBytes}: at most ${limitBytes} bytes may be pinned, ` +
        `${maxPinned} % of the capacity; remove a pin, or increase cacheStore.maxPinned or cacheStore.capacity`,
    );
  }

  /** Deletes the objects of expired pins of a shard that were read for its sweep. */
  async removeExpired(shard: number, signal: AbortSignal): Promise<void> {
    if (shard !== this.#shard) return;
    const headers = [...this.#sets.values()].map(({ set }) => set.header);
    const expired = headers.filter((header) => this.#hasExpired(header)).map(({ name }) => pinObjectName(name, shard));
    if (expired.length > 0) await this.#room.calls.remove(expired, signal);
  }

  async #addToShard(
    name: string,
    shard: number,
    versions: readonly PinnedVersion[],
    signal: AbortSignal,
  ): Promise<number> {
    const objectName = pinObjectName(name, shard);
    const before = await this.#read(objectName, signal);
    const added = versions.filter(({ versionHex }) => before?.has(versionHex) !== true);
    if (added.length === 0) return 0;
    const addedBytes = added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const header = before?.header ?? { name, expiresMs: null, bytes: 0 };
    const set = before ?? PinSet.of(header, []);
    const hexes = added.map(({ versionHex }) => versionHex);
    const next = set.with({ ...header, bytes: header.bytes + addedBytes }, hexes);
    await this.#room.calls.putSmall(objectName, next.encode(), signal);
    return addedBytes;
  }

  async #remove(name: string, isRemoved: (objectName: string) => boolean, signal: AbortSignal): Promise<void> {
    const entries = await this.#entries(true, signal);
    const removed = entries
      .map((entry) => entry.name)
      .filter((objectName) => parsePinObjectName(objectName)?.name === name && isRemoved(objectName));
    if (removed.length === 0) return;
    const { failed } = await this.#room.calls.remove(removed, signal);
    if (failed[0] !== undefined) throw failed[0].error;
  }

  async #entries(isFresh: boolean, signal: AbortSignal): Promise<readonly StoredEntry[]> {
    const { calls, clock } = this.#room;
    if (!isFresh && this.#listed !== undefined && clock.now() - this.#listed.atMs < LISTED_MS)
      return this.#listed.entries;
    const atMs = clock.now();
    const entries: StoredEntry[] = [];
    for await (const page of calls.list(PINS_PREFIX, signal)) {
      entries.push(...page);
      if (entries.length > MAX_PINS * SHARDS * 2)
        throw new OrcaError('store_unavailable', `more than ${MAX_PINS} pins are in the cachestore`);
    }
    this.#listed = { entries, atMs };
    return entries;
  }

  /** Undefined: removed since it was listed. */
  async #read(objectName: string, signal: AbortSignal): Promise<PinSet | undefined> {
    const bytes = await this.#room.calls.getSmall(objectName, signal);
    if (bytes === undefined) return undefined;
    const set = PinSet.decode(bytes);
    if (set === undefined)
      throw new OrcaError('store_unavailable', `the pin ${objectName} is unreadable: nothing of its shard is evicted`);
    return set;
  }

  /** By the store's time, which is never ahead. */
  #hasExpired({ expiresMs }: { readonly expiresMs: number | null }): boolean {
    const nowMs = this.#room.time.nowMs();
    return expiresMs !== null && nowMs !== undefined && nowMs > expiresMs;
  }
}

function byShard(versions: Iterable<PinnedVersion>): Map<number, PinnedVersion[]> {
  return Map.groupBy(versions, ({ versionHex }) => shardOf(versionHex));
}

function requireCount(name: string, pins: readonly PinSummary[]): void {
  if (pins.length >= MAX_PINS && !pins.some((pin) => pin.name === name))
    throw new OrcaError('invalid_argument', `there are ${pins.length} pins, the maximum: remove one first`);
}
