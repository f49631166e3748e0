/**
 * The cachestore. It stores no bytes: a commit is compared with the expected content while it arrives, and a read returns
 * that content, with the bytes that a fault has inverted.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { CallOptions, ChunkStore, Removal, StoredPage } from '#cache/engine/ports.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import type { CapacityOracle, StoredChunk } from './capacity-oracle.ts';
import { fillFrom, firstDifference, wrongMetadata, type Version } from './content.ts';
import type { Faults } from './faults.ts';
import { answer, pour, type FlowFault } from './flow.ts';
import type { Ledger } from './ledger.ts';
import type { SimOrigin } from './origin.ts';
import type { Random } from './random.ts';
import type { Incarnation } from './replica.ts';
import { KIB, type Fault, type Scenario } from './scenario.ts';
import { EPOCH_MS, type World } from './world.ts';

const SLOW_FACTOR = 30;
/** Counted from the start of a read: the length of most blocks. */
const BAD_WITHIN_BYTES = 64 * KIB;
/** Few, so that lists have several pages. */
const PAGE_NAMES = 7;
/** The maximum time from the response of the store to its effect. */
const ROUND_TRIP_MS = 3_000;

/** With these faults, a fill may have begun before its chunk was found to be corrupt. */
const TROUBLE: readonly Fault[] = ['store-errors', 'store-down', 'store-slow', 'store-full', 'pressure'];

interface Stored {
  readonly chunk: Chunk;
  /** The chunk whose bytes are stored here: another one after a misdirected write or a wrong restore. */
  content: Chunk;
  readonly version: Version;
  metadata: ChunkMetadata;
  lengthBytes: number;
  /** Offsets in the chunk whose byte is inverted. */
  readonly flips: Set<number>;
  readonly sinceMs: number;
}

export class SimStore {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #faults: Faults;
  readonly #ledger: Ledger;
  readonly #origin: SimOrigin;
  readonly #random: Random;
  readonly #chunks = new Map<string, Stored>();
  readonly #vanishedMs = new Map<string, number>();
  readonly #oracle: CapacityOracle;
  /** Draws only in runs with a bounded cachestore. */
  readonly #capacityRandom: Random;
  readonly #onRemoved: (replica: Incarnation) => void;
  readonly #smalls = new Map<string, Uint8Array>();
  readonly #smallsSinceMs = new Map<string, number>();
  /** Every byte that was inverted during the run: `path@offset`. */
  readonly #everFlipped = new Set<string>();
  /** When each chunk was last removed or damaged. */
  readonly #lostMs = new Map<string, number>();
  wonBytes = 0;

  constructor(
    world: World,
    scenario: Scenario,
    faults: Faults,
    ledger: Ledger,
    origin: SimOrigin,
    random: Random,
    capacity: {
      readonly oracle: CapacityOracle;
      readonly random: Random;
      readonly onRemoved: (replica: Incarnation) => void;
    },
  ) {
    this.#world = world;
    this.#scenario = scenario;
    this.#faults = faults;
    this.#ledger = ledger;
    this.#origin = origin;
    this.#random = random;
    this.#oracle = capacity.oracle;
    this.#capacityRandom = capacity.random;
    this.#onRemoved = capacity.onRemoved;
  }

  /** Since when the chunk has been stored, complete and correct; undefined if it is not. */
  intactSinceMs(path: string): number | undefined {
    const stored = this.#chunks.get(path);
    if (stored === undefined || stored.flips.size > 0 || stored.lengthBytes !== stored.chunk.lengthBytes)
      return undefined;
    if (stored.metadata.etag !== stored.chunk.object.etag || stored.content !== stored.chunk) return undefined;
    return stored.sinceMs;
  }

  /** Whether the chunk was complete and correct in the store at any time since then. */
  wasIntact(path: string, sinceMs: number): boolean {
    return this.intactSinceMs(path) !== undefined || (this.#lostMs.get(path) ?? -Infinity) >= sinceMs;
  }

  /** To be called before a chunk is removed or damaged. */
  #loses(path: string): void {
    if (this.intactSinceMs(path) !== undefined) this.#lostMs.set(path, this.#world.nowMs);
  }

  /** Stored, but not as it was committed. */
  isBad(path: string): boolean {
    return this.#chunks.has(path) && this.intactSinceMs(path) === undefined;
  }

  /** Missing for long enough that no replica can have found it. */
  isMissing(path: string): boolean {
    return !this.#chunks.has(path) && this.#world.nowMs - (this.#vanishedMs.get(path) ?? -Infinity) > ROUND_TRIP_MS;
  }

  wasFlipped(path: string, offset: number): boolean {
    return this.#everFlipped.has(`${path}@${offset}`);
  }

  /** Deletes a chunk without the knowledge of any replica. */
  vanish(): void {
    const stored = this.#any();
    if (stored === undefined) return;
    this.#loses(stored.chunk.path);
    this.#chunks.delete(stored.chunk.path);
    this.#vanishedMs.set(stored.chunk.path, this.#world.nowMs);
    this.#ledger.excuse(stored.chunk.path, 'store', 'it vanished from the cachestore');
  }

  flip(): void {
    const stored = this.#any();
    if (stored === undefined) return;
    if (this.#random.chance(0.5)) this.#flipAll(stored);
    else
      for (let count = this.#random.int(1, 6); count > 0; count--)
        this.#flipOne(stored, this.#random.int(0, stored.chunk.lengthBytes));
  }

  /** Inverts one byte in each block, so that every read includes one. */
  #flipAll(stored: Stored): void {
    const { lengthBytes } = stored.chunk;
    const step = stored.metadata.blockSizeBytes;
    for (let block = 0; block < lengthBytes; block += step)
      this.#flipOne(stored, Math.min(block + this.#random.int(0, step), lengthBytes - 1));
  }

  #flipOne(stored: Stored, offset: number): void {
    this.#loses(stored.chunk.path);
    stored.flips.add(offset);
    this.#everFlipped.add(`${stored.chunk.path}@${offset}`);
    this.#ledger.excuse(stored.chunk.path, 'store', `its byte ${offset} was flipped in the cachestore`);
  }

  truncate(): void {
    const stored = this.#any();
    if (stored === undefined) return;
    const { path } = stored.chunk;
    this.#loses(path);
    if (this.#random.chance(0.3) && this.#misplace(stored)) return;
    if (this.#random.chance(0.3)) {
      stored.metadata = { ...stored.metadata, etag: 'another' };
      this.#ledger.excuse(path, 'store', 'it names another ETag in the cachestore');
      return;
    }
    stored.lengthBytes = this.#random.int(0, stored.lengthBytes);
    this.#ledger.excuse(path, 'store', `it was cut to ${stored.lengthBytes} bytes in the cachestore`);
  }

  /** Replaces a chunk by another chunk of its object: their length and ETag are the same. */
  #misplace(stored: Stored): boolean {
    const { path, object, lengthBytes } = stored.chunk;
    const other = [...this.#chunks.values()].find(
      ({ chunk, metadata }) =>
        chunk.path !== path && metadata.etag === object.etag && metadata.lengthBytes === lengthBytes,
    );
    if (other === undefined) return false;
    const { content, metadata, version, flips } = other;
    this.#chunks.set(path, { ...stored, content, metadata, version, lengthBytes, flips: new Set(flips) });
    this.#ledger.excuse(path, 'store', `${other.chunk.path} was stored in its place`);
    return true;
  }

  portFor(replica: Incarnation): ChunkStore {
    const small = <T>(call: CallOptions, action: () => T): Promise<T> => this.#answer(replica, call, undefined, action);
    return {
      read: (chunk, range, sink, onInfo, call) => {
        const failure = this.#failure(chunk.path);
        const present = this.#chunks.get(chunk.path);
        // Often in the block in which a read begins.
        if (present !== undefined && this.#faults.strikes('store-flip') !== undefined && this.#random.chance(0.4))
          this.#flipOne(present, this.#random.int(range.from, Math.min(range.from + BAD_WITHIN_BYTES, range.to)));
        return pour(this.#world, {
          owner: replica.owner,
          random: this.#random,
          ...this.#pace(failure === 'hang'),
          range,
          sink,
          call,
          fault: failure instanceof OrcaError ? { what: 'cut', afterBytes: 0 } : this.#readFault(range, chunk.path),
          unavailable: (message) => this.#unavailable(chunk.path, message),
          onHead: () => {
            if (failure instanceof OrcaError) throw failure;
            if (!this.#chunks.has(chunk.path)) replica.toldMissing.push(chunk.path);
            onInfo(this.#checked(chunk).metadata);
          },
          source: (offset, target) => this.#bytes(chunk, offset, target),
          isFile: this.#scenario.isFileStore,
          onBytes: () => {},
        });
      },
      has: (chunk, call) =>
        this.#answer(replica, call, chunk.path, () => {
          if (!this.#chunks.has(chunk.path)) return false;
          this.#checked(chunk);
          return true;
        }),
      commit: (chunk, metadata, pieces, call) => this.#commit(replica, chunk, metadata, pieces, call),
      getSmall: (name, call) => small(call, () => this.#smalls.get(name)),
      putSmall: (name, body, call) =>
        small(call, () => {
          if (call.ifAbsent === true && this.#smalls.has(name)) return 'lost';
          const grownBytes = body.length - (this.#smalls.get(name)?.length ?? 0);
          if (grownBytes > 0 && !this.#hasRoom(grownBytes))
            throw this.#unavailable(undefined, 'the store is full', 507);
          this.#smalls.set(name, Uint8Array.from(body));
          this.#smallsSinceMs.set(name, this.#world.nowMs);
          this.#oracle.wroteSmall(name);
          return 'won';
        }),
      deleteSmall: (name, call) => small(call, () => void this.#smalls.delete(name)),
      list: (prefix, cursor, call) =>
        this.#answer(replica, call, undefined, () => {
          this.#failList(replica, prefix, cursor);
          const page = this.#page(prefix, cursor);
          this.#oracle.listed(replica, prefix, cursor, page.entries);
          return page;
        }),
      remove: (names, call) => this.#answer(replica, call, undefined, () => this.#removeAll(replica, names)),
      ...(this.#isFileSystem && { totalBytes: async () => this.#scenario.capacity?.storeBytes }),
      close: async () => {},
    };
  }

  #commit(
    replica: Incarnation,
    chunk: Chunk,
    metadata: ChunkMetadata,
    pieces: readonly Uint8Array[],
    call: CallOptions & { readonly overwrite?: boolean },
  ): Promise<'won' | 'lost'> {
    checkPieces(chunk, metadata, pieces);
    this.#compare(chunk, pieces);
    const wrong = wrongMetadata(this.#origin.version(chunk.object.etag), chunk, metadata);
    if (wrong !== undefined)
      this.#world.violate('nothing wrong is committed', `${chunk.path} has wrong metadata: ${wrong}`);
    const { firstByteMs, bytesPerMs } = this.#pace(false);
    const failure = this.#commitFailure(chunk.path);
    const delayMs = failure === 'hang' ? Infinity : firstByteMs + chunk.lengthBytes / bytesPerMs;
    const limits = { signal: call.signal, firstByteTimeoutMs: Infinity };
    return answer(
      this.#world,
      replica.owner,
      limits,
      delayMs,
      (message) => this.#unavailable(chunk.path, message),
      () => {
        if (failure instanceof OrcaError) throw failure;
        // The memory must not have changed during the upload.
        this.#compare(chunk, pieces);
        this.#checkRepair(replica, chunk, metadata, call.overwrite === true);
        const grownBytes = chunk.lengthBytes - (this.#chunks.get(chunk.path)?.lengthBytes ?? 0);
        if (grownBytes > 0 && !this.#hasRoom(grownBytes)) throw this.#unavailable(chunk.path, 'the store is full', 507);
        const outcome = this.#put(chunk, metadata, call.overwrite === true);
        this.#world.note('store', `${replica.owner.name} commits ${chunk.path}: ${outcome}`);
        if (failure === 'lost answer') throw this.#unavailable(chunk.path, 'the connection was cut after the upload');
        return outcome;
      },
    );
  }

  #put(chunk: Chunk, metadata: ChunkMetadata, overwrite: boolean): 'won' | 'lost' {
    const stored = this.#chunks.get(chunk.path);
    if (!overwrite && stored !== undefined && isSameChunk(metadata, stored.lengthBytes, stored.metadata)) return 'lost';
    const written: Stored = {
      chunk,
      content: chunk,
      metadata,
      version: this.#origin.version(chunk.object.etag),
      lengthBytes: chunk.lengthBytes,
      flips: new Set(),
      sinceMs: this.#world.nowMs,
    };
    this.#chunks.set(chunk.path, written);
    // A disk that corrupts data: a reader that joined the fill meets the corruption in the middle.
    if (this.#faults.strikes('store-flip') !== undefined && this.#random.chance(0.5)) this.#flipAll(written);
    this.wonBytes += chunk.lengthBytes;
    return 'won';
  }

  /** A commit that repairs a corrupt chunk overwrites it; a chunk of another length or version is replaced by every commit. */
  #checkRepair(replica: Incarnation, { path }: Chunk, metadata: ChunkMetadata, overwrite: boolean): void {
    const foundMs = replica.foundBad.get(path);
    const isTroubled =
      TROUBLE.some((fault) => this.#scenario.faults.has(fault)) || this.#scenario.capacity?.storeBytes !== undefined;
    const stored = this.#chunks.get(path);
    if (overwrite || foundMs === undefined || isTroubled || stored === undefined || stored.flips.size === 0) return;
    if (!isSameChunk(metadata, stored.lengthBytes, stored.metadata)) return;
    if (this.#world.nowMs - foundMs < ROUND_TRIP_MS)
      this.#world.violate(
        'what is bad is repaired',
        `${replica.owner.name} found ${path} bad and does not write over it`,
      );
  }

  #compare(chunk: Chunk, pieces: readonly Uint8Array[]): void {
    const version = this.#origin.version(chunk.object.etag);
    let offset = chunk.range.from;
    for (const piece of pieces) {
      const wrong = firstDifference(version, offset, piece);
      if (wrong !== undefined) {
        this.#world.violate(
          'nothing wrong is committed',
          `${chunk.path} has a wrong byte at ${wrong - chunk.range.from}`,
        );
        return;
      }
      offset += piece.length;
    }
    if (offset !== chunk.range.to)
      this.#world.violate(
        'nothing wrong is committed',
        `${chunk.path} is committed with ${offset - chunk.range.from} bytes`,
      );
  }

  #checked(chunk: Chunk): Stored {
    const stored = this.#chunks.get(chunk.path);
    if (stored === undefined) throw new OrcaError('chunk_missing', `no chunk ${chunk.path}`, { status: 404 });
    checkStored(chunk, stored.lengthBytes, stored.metadata);
    return stored;
  }

  #bytes(chunk: Chunk, offset: number, target: Uint8Array): void {
    const stored = this.#chunks.get(chunk.path);
    const { object, range } = stored?.content ?? chunk;
    fillFrom(this.#origin.version(object.etag), range.from + offset, target);
    for (const flip of stored?.flips ?? [])
      if (flip >= offset && flip < offset + target.length) target[flip - offset] = ~target[flip - offset]!;
  }

  #answer<T>(replica: Incarnation, call: CallOptions, path: string | undefined, action: () => T): Promise<T> {
    const failure = this.#failure(path);
    const delayMs = this.#pace(failure === 'hang').firstByteMs;
    return answer(
      this.#world,
      replica.owner,
      call,
      delayMs,
      (message) => this.#unavailable(path, message),
      () => {
        if (failure instanceof OrcaError) throw failure;
        return action();
      },
    );
  }

  /** The failure of a call, if a fault affects it. */
  #failure(path: string | undefined): OrcaError | 'hang' | undefined {
    const down = this.#faults.window('store-down');
    if (down !== undefined) return down.way < 0.4 ? this.#hangs(path) : this.#unavailable(path, 'connection refused');
    if (this.#faults.strikes('store-errors') === undefined) return undefined;
    const which = this.#random.pick(['500', '403', 'hang', 'none', 'none'] as const);
    if (which === 'none') return undefined;
    if (which === 'hang') return this.#hangs(path);
    return this.#unavailable(path, `the store answers ${which}`, Number(which));
  }

  #readFault(range: { readonly from: number; readonly to: number }, path: string): FlowFault | undefined {
    if (this.#faults.strikes('store-errors') === undefined) return undefined;
    const afterBytes = this.#random.int(0, range.to - range.from);
    this.#world.note('fault', `the store's ${path} ends after ${afterBytes} bytes`);
    return { what: this.#random.pick(['cut', 'cut', 'stall']), afterBytes };
  }

  #commitFailure(path: string): OrcaError | 'hang' | 'lost answer' | undefined {
    if (this.#faults.window('store-full') !== undefined) return this.#unavailable(path, 'the disk is full', 507);
    const failure = this.#failure(path);
    if (failure !== undefined) return failure;
    return this.#faults.strikes('store-errors') === undefined ? undefined : 'lost answer';
  }

  #hangs(path: string | undefined): 'hang' {
    if (path !== undefined) this.#ledger.excuse(path, 'store', 'the cachestore does not answer');
    return 'hang';
  }

  #unavailable(path: string | undefined, message: string, status?: number): OrcaError {
    if (path !== undefined) this.#ledger.excuse(path, 'store', `the cachestore failed: ${message}`);
    return new OrcaError('store_unavailable', message, status === undefined ? {} : { status });
  }

  #pace(hangs: boolean): { firstByteMs: number; bytesPerMs: number } {
    const { latencyMs, bytesPerMs } = this.#scenario.store;
    const slow = this.#faults.window('store-slow') === undefined ? 1 : SLOW_FACTOR;
    // Sometimes a response takes long for no reason, so that responses overtake one another.
    const hiccup = this.#random.chance(0.03) ? 20 : 1;
    const firstByteMs = hangs ? Infinity : latencyMs * slow * hiccup * (0.5 + this.#random.next());
    return { firstByteMs, bytesPerMs: bytesPerMs / slow };
  }

  #page(prefix: string, cursor: string | undefined): StoredPage {
    const names = [...this.#chunks.keys(), ...this.#smalls.keys()]
      .filter((name) => name.startsWith(prefix) && (cursor === undefined || name > cursor))
      .toSorted();
    const page = names.slice(0, PAGE_NAMES);
    const clockMs = EPOCH_MS + (this.#scenario.capacity?.clockOffsetMs ?? 0);
    return {
      entries: page.map((name) => ({
        name,
        sizeBytes: this.#chunks.get(name)?.lengthBytes ?? this.#smalls.get(name)?.length ?? 0,
        modifiedMs: clockMs + Math.floor(this.#chunks.get(name)?.sinceMs ?? this.#smallsSinceMs.get(name) ?? 0),
      })),
      cursor: names.length > page.length ? page.at(-1) : undefined,
    };
  }

  /** A list may fail in the middle; credentials may lack the permission to list or to delete. */
  #failList(replica: Incarnation, prefix: string, cursor: string | undefined): void {
    const denied = this.#faults.window('denied');
    if (denied !== undefined && denied.way < 0.5) throw this.#unavailable(undefined, 'lists are denied', 403);
    if (!this.#isStruck('list-errors') || !this.#capacityRandom.chance(cursor === undefined ? 0.3 : 1)) return;
    this.#oracle.listFailed(replica, prefix);
    throw this.#unavailable(undefined, 'the list was cut');
  }

  /** Some names may fail, and the answer may be lost. */
  #removeAll(replica: Incarnation, names: readonly string[]): Removal {
    const denied = this.#faults.window('denied');
    if (denied !== undefined && denied.way >= 0.5) {
      const error = this.#unavailable(undefined, 'deletions are denied', 403);
      return { removed: 0, failed: names.map((name) => ({ name, error })) };
    }
    const failing = this.#isStruck('remove-errors')
      ? this.#capacityRandom.pick(['some', 'some', 'all', 'lost answer'] as const)
      : undefined;
    const mayFail = (): boolean => failing === 'all' || (failing === 'some' && this.#capacityRandom.chance(0.5));
    const failed = names
      .filter(mayFail)
      .map((name) => ({ name, error: this.#unavailable(undefined, 'the store answers 500', 500) }));
    const kept = new Set(failed.map(({ name }) => name));
    const removed = names
      .filter((name) => !kept.has(name))
      .map((name) => ({ name, chunk: this.#remove(replica, name) }));
    this.#onRemoved(replica);
    if (failing === 'lost answer') throw this.#unavailable(undefined, 'the connection was cut after the removal');
    this.#oracle.told(replica, removed);
    return { removed: removed.length, failed };
  }

  #remove(replica: Incarnation, name: string): StoredChunk | undefined {
    const stored = this.#chunks.get(name);
    const chunk = stored && storedChunk(stored);
    this.#oracle.removing(replica, name, chunk);
    this.#smalls.delete(name);
    this.#smallsSinceMs.delete(name);
    if (chunk === undefined) return undefined;
    this.#loses(name);
    this.#chunks.delete(name);
    this.#vanishedMs.set(name, this.#world.nowMs);
    this.#ledger.excuse(name, 'store', `${replica.owner.name} has removed it from the cachestore`);
    return chunk;
  }

  #isStruck(fault: Fault): boolean {
    const window = this.#faults.window(fault);
    return window !== undefined && this.#capacityRandom.chance(window.probability);
  }

  get #isFileSystem(): boolean {
    return this.#scenario.isFileStore && this.#scenario.capacity?.storeBytes !== undefined;
  }

  #hasRoom(lengthBytes: number): boolean {
    const { storeBytes = Infinity } = this.#scenario.capacity ?? {};
    return storeBytes === Infinity || this.usedBytes + lengthBytes <= storeBytes;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const { lengthBytes } of this.#chunks.values()) bytes += lengthBytes;
    for (const { length } of this.#smalls.values()) bytes += length;
    return bytes;
  }

  /** All chunks. */
  stored(): StoredChunk[] {
    return [...this.#chunks.values()].map(storedChunk);
  }

  /** Names that other software, or another cache, has put there. */
  plant(name: string, body: Uint8Array): void {
    this.#smalls.set(name, body);
    this.#smallsSinceMs.set(name, 0);
    this.#oracle.foreign.add(name);
  }

  #any(): Stored | undefined {
    const all = [...this.#chunks.values()];
    return all.length === 0 ? undefined : this.#random.pick(all);
  }
}

function storedChunk({ chunk, version, lengthBytes, sinceMs }: Stored): StoredChunk {
  return { name: chunk.path, version, lengthBytes, sinceMs };
}
