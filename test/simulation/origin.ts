/** The origin: versioned objects, an Origin port for each replica with the guarantees of the drivers, and faults. */
import { chunkAt, chunkSizeFor, type ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectHead, ObjectVersion } from '#cache/core/object.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import type { Flight } from '#cache/engine/fill/flight.ts';
import type { CallOptions, Origin } from '#cache/engine/ports.ts';
import { Bill } from './bill.ts';
import { fillFrom, type Version } from './content.ts';
import type { Faults } from './faults.ts';
import { answer, pour, type FlowFault } from './flow.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import type { Incarnation } from './replica.ts';
import type { Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** If it were slower, every read of the run would time out. */
const SLOW_FACTOR = 8;

export class SimOrigin {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #faults: Faults;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #cluster: { isStable(): boolean };
  readonly #current = new Map<string, Version>();
  readonly #byEtag = new Map<string, Version>();
  readonly #history = new Map<string, Version[]>();
  #made = 0;
  /** By chunk path without the index: the chunks that were read, and by which replicas. */
  readonly fillers = new Map<string, { readonly paths: Set<ChunkPath>; readonly by: Set<string> }>();
  readonly bill = new Bill();
  heads = 0;
  reads = 0;

  constructor(
    world: World,
    scenario: Scenario,
    faults: Faults,
    ledger: Ledger,
    random: Random,
    cluster: { isStable(): boolean },
  ) {
    this.#cluster = cluster;
    this.#world = world;
    this.#scenario = scenario;
    this.#faults = faults;
    this.#ledger = ledger;
    this.#random = random;
  }

  put(key: string, sizeBytes: number): Version {
    this.remove(key);
    const number = ++this.#made;
    const version: Version = {
      key,
      sizeBytes,
      etag: `etag-${number}-${this.#random.int(0, 1_000_000)}`,
      lastModifiedMs: Date.UTC(2025, 0, 1) + number * 1_000,
      shift: this.#random.int(0, 1_000_000),
      bornMs: this.#world.nowMs,
      diedMs: Infinity,
    };
    this.#current.set(key, version);
    this.#byEtag.set(version.etag, version);
    const history = this.#history.get(key) ?? [];
    history.push(version);
    this.#history.set(key, history);
    this.#world.note('origin', `${key} is ${version.etag}, ${sizeBytes} bytes`);
    return version;
  }

  remove(key: string): void {
    const version = this.#current.get(key);
    if (version === undefined) return;
    version.diedMs = this.#world.nowMs;
    this.#current.delete(key);
    this.#world.note('origin', `${key} is deleted`);
  }

  current(key: string): Version | undefined {
    return this.#current.get(key);
  }

  /** All past and current versions of a key, oldest first. */
  history(key: string): readonly Version[] {
    return this.#history.get(key) ?? [];
  }

  version(etag: string): Version {
    const version = this.#byEtag.get(etag);
    if (version === undefined) throw new Error(`no version has the ETag ${etag}`);
    return version;
  }

  portFor(who: Incarnation): Origin {
    return {
      head: (bucket, key, call) => this.#head(who, bucket, key, call),
      read: (object, range, sink, call) => {
        this.reads++;
        const { chunk, start } = this.#chunkOf(object, range);
        const found = who.engine.flights.get(chunk.path);
        // A fill that has all its bytes waits for its commit.
        const filling = found !== undefined && found.arrivedBytes < chunk.lengthBytes ? found : undefined;
        // A fill is in the table before its first request; a read of blocks may outlive its entry in the table.
        const sparse =
          isSparseRead(who, chunk.path, range.from - start, range.to - start) ||
          (filling === undefined && chunk.lengthBytes > MOST_FILLED_BYTES);
        const flight = sparse ? undefined : filling;
        // A read of blocks may have waited for a slot or a retry while a fill fetched the chunk.
        if (who.engine.memoryTier.get(chunk.path) !== undefined && !sparse)
          this.#world.violate('one fill per chunk', `${who.owner.name} has ${chunk.path} in memory and fetches it`);
        if (flight !== undefined && who.flights.get(chunk.path)?.flight !== flight)
          who.flights.set(chunk.path, { flight });
        this.#world.note('ask', `${who.owner.name} ${chunk.path} [${range.from - start}, ${range.to - start})`);
        const goesOn = this.#ledger.asked(flight);
        this.#checkFiller(who, chunk.path, goesOn);
        const version = this.version(object.etag);
        const pace = this.#pace();
        this.bill.requested(version);
        const read = pour(this.#world, {
          owner: who.owner,
          random: this.#random,
          ...pace,
          range,
          sink,
          call,
          fault: this.#readFault(range, chunk.path),
          unavailable,
          onHead: () => this.#accept(object),
          source: (offset, target) => fillFrom(version, offset, target),
          onBytes: (from, to) => {
            who.deliveredBytes += to - from;
            this.bill.sent(version, to - from, sparse);
            if (sparse) this.#ledger.deliveredSparse(chunk, from - start, to - start);
            else this.#ledger.delivered(chunk.path, from - start, to - start, flight);
          },
          // Bytes in flight until the origin notices the end of the request.
          onAborted: (at) =>
            this.bill.sent(version, Math.min(range.to - at, pace.bytesPerMs * pace.firstByteMs), sparse),
        });
        return flight === undefined ? read : whileReading(who, flight, read);
      },
      probe: (_bucket, _prefix, call) =>
        answer(this.#world, who.owner, call, this.#pace().firstByteMs, unavailable, () => 'reachable' as const),
      checkOwner: async () => {},
      part: () => Promise.reject(new OrcaError('origin_unsupported', 'the simulation has no multipart objects')),
      list: () => Promise.reject(new OrcaError('origin_unsupported', 'nothing is listed here')),
      listBuckets: () => Promise.reject(new OrcaError('origin_unsupported', 'nothing is listed here')),
      listVersions: () => Promise.reject(new OrcaError('origin_unsupported', 'nothing is listed here')),
      subResource: () => Promise.reject(new OrcaError('not_implemented', 'no sub-resources')),
      close: async () => {},
    };
  }

  /** Only the coordinator of a chunk starts a fill, unless it could not be reached. */
  #checkFiller(who: Incarnation, path: ChunkPath, goesOn: boolean): void {
    const { owners, self } = who.view;
    const [coordinator] = rankPeers(path, owners, 1);
    const prefix = path.slice(0, path.lastIndexOf('/'));
    const fills = this.fillers.get(prefix) ?? { paths: new Set(), by: new Set() };
    fills.by.add(who.address);
    fills.paths.add(path);
    this.fillers.set(prefix, fills);
    if (goesOn || coordinator === self || !this.#cluster.isStable() || this.#ledger.mayFillInstead(path)) return;
    this.#world.violate('one fill per chunk', `${who.owner.name} fills ${path}, which ${coordinator} coordinates`);
  }

  #head(who: Incarnation, _bucket: string, key: string, call: CallOptions): Promise<ObjectHead> {
    this.heads++;
    const down = this.#down('head');
    const strike = this.#faults.strikes('origin-errors');
    const failure = down ?? (strike === undefined ? undefined : this.#failure());
    const delayMs = failure === 'hang' ? Infinity : this.#pace().firstByteMs;
    return answer(this.#world, who.owner, call, delayMs, unavailable, () => {
      if (failure !== undefined && failure !== 'hang') throw failure;
      const version = this.#current.get(key);
      if (version === undefined) throw new OrcaError('not_found', `no object ${key}`, { status: 404 });
      return headOf(version);
    });
  }

  #accept(object: ObjectVersion): void {
    const flaps = this.#faults.strikes('origin-flaps');
    const current = this.#current.get(object.key);
    if (current === undefined) throw new OrcaError('not_found', `no object ${object.key}`, { status: 404 });
    if (flaps !== undefined || current.etag !== object.etag || current.sizeBytes !== object.sizeBytes)
      throw new OrcaError('object_changed', `${object.key} has changed`, { status: 412 });
  }

  /** Thrown instead of the first byte of a read. */
  #readFault(range: ByteRange, path: string): FlowFault | undefined {
    const down = this.#down('read');
    if (down !== undefined) return { what: down === 'hang' ? 'stall' : 'cut', afterBytes: 0 };
    const strike = this.#faults.strikes('origin-errors');
    if (strike === undefined) return undefined;
    const what = this.#random.pick(['cut', 'cut', 'cut', 'stall', 'short'] as const);
    const afterBytes = this.#random.chance(0.2) ? 0 : this.#random.int(0, range.to - range.from);
    this.#world.note('fault', `the origin's ${path} is ${what} after ${afterBytes} bytes`);
    return { what, afterBytes };
  }

  #down(operation: 'head' | 'read'): OrcaError | 'hang' | undefined {
    const window = this.#faults.window('origin-down');
    if (window === undefined) return undefined;
    // Often only HEADs still succeed: then fills start, and fail.
    if (operation === 'head' && window.which < 0.5) return undefined;
    if (window.way < 0.4) return 'hang';
    return unavailable(window.way < 0.7 ? 'connection refused' : 'the origin answers 500');
  }

  #failure(): OrcaError | 'hang' {
    switch (this.#random.pick(['500', '503', '403', 'denied', 'hang'] as const)) {
      case '500':
        return unavailable('the origin answers 500');
      case '503':
        return new OrcaError('origin_throttled', 'slow down', {
          status: 503,
          retryAfterMs: this.#random.int(1, 4) * 500,
        });
      case '403':
        return new OrcaError('access_denied', 'AccessDenied', { status: 403 });
      case 'denied':
        return new OrcaError('origin_denied', 'ExpiredToken', { status: 403 });
      case 'hang':
        return 'hang';
    }
  }

  #pace(): { firstByteMs: number; bytesPerMs: number } {
    const { latencyMs, bytesPerMs } = this.#scenario.origin;
    const slow = this.#faults.window('origin-slow') === undefined ? 1 : SLOW_FACTOR;
    return { firstByteMs: latencyMs * slow * (0.5 + this.#random.next()), bytesPerMs: bytesPerMs / slow };
  }

  /** The chunk of a range: no read crosses the border of a chunk. */
  #chunkOf(object: ObjectVersion, range: ByteRange): { chunk: ReturnType<typeof chunkAt>; start: number } {
    const size = chunkSizeFor(object.sizeBytes, this.#scenario.chunkBytes, this.#scenario.tiers);
    const chunk = chunkAt(object, size, Math.floor(range.from / size));
    if (range.to > chunk.range.to)
      this.#world.violate('bounded', `an origin read crosses chunks: ${range.from}-${range.to}`);
    return { chunk, start: chunk.range.from };
  }
}

/** Chunks of up to eight blocks are always filled. */
const MOST_FILLED_BYTES = 8 * SPARSE_BLOCK_BYTES;

async function whileReading(who: Incarnation, flight: Flight, read: Promise<void>): Promise<void> {
  who.reading.push(flight);
  try {
    await read;
  } finally {
    who.reading.splice(who.reading.indexOf(flight), 1);
  }
}

/** Whether a read is sparse and not a part of a fill: its end is that of blocks in flight in the table. */
function isSparseRead(who: Incarnation, path: ChunkPath, from: number, to: number): boolean {
  const run = who.engine.blockTable.runAt(path, from);
  return run !== undefined && 'flight' in run && run.to === to;
}

export function headOf(version: Version): ObjectHead {
  const { etag, sizeBytes, lastModifiedMs } = version;
  return { etag, sizeBytes, lastModifiedMs, headers: { 'content-type': 'application/octet-stream' } };
}

function unavailable(message: string): OrcaError {
  return new OrcaError('origin_unavailable', message);
}
