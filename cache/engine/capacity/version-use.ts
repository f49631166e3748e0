/** For people: which pins hold a version of an object, and when its chunks were last read. */
import { MINUTE_MS, readKey, shardOf, type ChunkKey } from '#cache/core/capacity/chunk-key.ts';
import type { Ledger } from '#cache/core/capacity/ledger.ts';
import { parsePinObjectName, PINS_PREFIX, PinSet } from '#cache/core/capacity/pins.ts';
import { asOrcaError } from '#cache/core/errors.ts';
import { forEachParallel } from '#shared/for-each-parallel.ts';
import type { Ledgers } from './ledgers.ts';
import type { Room } from './room.ts';

/** The first chunks of a version: looking at more would make a list slow, and a client that reads others has read these. */
const MAX_CHUNKS = 4_096;
/** Objects of the cachestore that are read for one page of a list, two at a time: a second or two. */
const MAX_PIN_OBJECTS = 1_000;
/** A ledger then has 250 KB, and a page of a list needs up to a hundred. */
const MAX_STORED_CHUNKS = 4_000_000;
const WORKERS = 2;

export interface Version {
  /** Its 64 hex digits. */
  readonly versionHex: string;
  readonly chunkCount: number;
}

export interface VersionUse {
  /** The names of the pins. */
  readonly pins: readonly string[];
  /** The start of the minute; undefined = not known to be read. */
  readonly lastReadMs: number | undefined;
}

export interface VersionUses {
  /** By the digits. */
  readonly uses: ReadonlyMap<string, VersionUse>;
  /** Why something is not known. */
  readonly problems: readonly string[];
}

export class VersionUseLookup {
  readonly #room: Room;
  readonly #ledgers: Pick<Ledgers, 'load' | 'reportedMinute'>;
  /** How many chunks the cachestore has. */
  readonly #storedChunks: () => number;

  constructor(room: Room, ledgers: Pick<Ledgers, 'load' | 'reportedMinute'>, storedChunks: () => number) {
    this.#room = room;
    this.#ledgers = ledgers;
    this.#storedChunks = storedChunks;
  }

  /** From memory: reads that were reported to this replica since its last sweep. */
  recentReadMs(version: Version): number | undefined {
    return msOf(this.#lastMinute(version, undefined));
  }

  /** Reads ledgers and pins from the cachestore. What cannot be read is a problem, not an error. */
  async of(versions: readonly Version[], signal: AbortSignal): Promise<VersionUses> {
    const problems = new Set<string>();
    const pins = await this.#tolerant(problems, () => this.#pins(versions, problems, signal), signal);
    const shards = [...new Set(versions.map(({ versionHex }) => shardOf(versionHex)))];
    const ledgers = new Map<number, Ledger>();
    if (this.#storedChunks() > MAX_STORED_CHUNKS)
      problems.add('the cachestore has too many chunks to look up reads before the last sweep');
    else await this.#tolerant(problems, () => this.#load(shards, ledgers, signal), signal);
    const uses = versions.map((version): [string, VersionUse] => {
      const { versionHex } = version;
      const minute = this.#lastMinute(version, ledgers.get(shardOf(versionHex)));
      return [versionHex, { pins: pins?.get(versionHex) ?? [], lastReadMs: msOf(minute) }];
    });
    return { uses: new Map(uses), problems: [...problems] };
  }

  #lastMinute({ versionHex, chunkCount }: Version, ledger: Ledger | undefined): number {
    const key: ChunkKey = { high: 0, low: 0, shard: 0 };
    let last = 0;
    for (let index = 0; index < Math.min(chunkCount, MAX_CHUNKS); index++) {
      readKey(`${this.#room.originId}/${versionHex}/${index}`, key);
      const { high, low, shard } = key;
      last = Math.max(last, this.#ledgers.reportedMinute(shard, high, low), ledger?.get(high, low)?.minute ?? 0);
    }
    return last;
  }

  async #load(shards: readonly number[], into: Map<number, Ledger>, signal: AbortSignal): Promise<void> {
    await forEachParallel(
      shards,
      WORKERS,
      async (shard) => void into.set(shard, await this.#ledgers.load(shard, signal)),
    );
  }

  async #pins(
    versions: readonly Version[],
    problems: Set<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string[]>> {
    const byShard = Map.groupBy(versions, ({ versionHex }) => shardOf(versionHex));
    const names: string[] = [];
    for await (const page of this.#room.calls.list(PINS_PREFIX, signal))
      for (const { name } of page) {
        const parsed = parsePinObjectName(name);
        if (parsed !== undefined && byShard.has(parsed.shard)) names.push(name);
      }
    const found = new Map<string, string[]>();
    if (names.length > MAX_PIN_OBJECTS) {
      problems.add('there are too many pins to look them up for each object: kubectl orca pins lists them');
      return found;
    }
    await forEachParallel(names, WORKERS, async (objectName) => {
      const bytes = await this.#room.calls.getSmall(objectName, signal);
      const set = bytes && PinSet.decode(bytes);
      if (set === undefined || this.#hasExpired(set.header.expiresMs)) return;
      for (const { versionHex } of byShard.get(parsePinObjectName(objectName)?.shard ?? -1) ?? [])
        if (set.has(versionHex)) found.set(versionHex, [...(found.get(versionHex) ?? []), set.header.name].toSorted());
    });
    return found;
  }

  #hasExpired(expiresMs: number | null): boolean {
    const { time, clock } = this.#room;
    return expiresMs !== null && (time.nowMs() ?? clock.date()) > expiresMs;
  }

  async #tolerant<T>(problems: Set<string>, call: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      problems.add(asOrcaError(error, 'internal', 'pins and reads cannot be looked up').message);
      return undefined;
    }
  }
}

function msOf(minute: number): number | undefined {
  return minute === 0 ? undefined : minute * MINUTE_MS;
}
