/**
 * An in-memory ChunkStore for engine tests: it passes the same conformance suite as the real drivers, and adds counters,
 * gates and faults (chunks that vanish, flipped bytes, refused or held commits).
 */
import { crc32 } from 'node:zlib';
import type { Chunk } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import {
  MAX_STORE_NAMES,
  type CallOptions,
  type ChunkStore,
  type Clock,
  type StoredEntry,
} from '#cache/engine/ports.ts';
import { cancelledBy, copyInto } from '#cache/wire/http1/sink.ts';
import { listPrefix, removableNames } from '#cache/stores/paths.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import { systemClock } from '#shared/clock.ts';
import { createGate, type Gate } from './gate.ts';

export interface StoreFault {
  readonly on: 'read' | 'has' | 'commit' | 'small' | 'list' | 'remove';
  /** Only for this chunk path, small name or prefix; default: any. With one, `remove` fails for this name only. */
  readonly path?: string;
  /** How many calls it affects; default 1. */
  readonly times?: number;
  /** Reads: how many bytes the sink gets before the fault; default 0. */
  readonly afterBytes?: number;
  readonly error: OrcaError;
}

export interface FakeStoreOptions {
  /** Sets the times of modification; default: the system clock. */
  readonly clock?: Pick<Clock, 'date'>;
  /** Rejects commits above it as a full store does. */
  readonly capacityBytes?: number;
  /** Names of a page of `list`; default `MAX_STORE_NAMES`. */
  readonly pageNames?: number;
}

export interface FakeChunkStore extends ChunkStore {
  /** Stores a chunk directly; without metadata, as the original Orca wrote it. */
  plant(chunk: Pick<Chunk, 'path'>, body: Uint8Array, metadata?: ChunkMetadata): void;
  /** Deletes a chunk without any replica noticing. */
  vanish(path: string): void;
  /** Inverts one byte of a stored chunk, its metadata untouched. */
  flip(path: string, at: number): void;
  /** Truncates a stored chunk to `lengthBytes`. */
  truncate(path: string, lengthBytes: number): void;
  /** Sets the time of modification of a chunk or small object. */
  modify(name: string, modifiedMs: number): void;
  inject(fault: StoreFault): void;
  /** The size of all chunks and small objects. */
  readonly usedBytes: number;
  /** Every call of any kind rejects with this until it is set to undefined. */
  down: OrcaError | undefined;
  paths(): string[];
  smallNames(): string[];
  body(path: string): Uint8Array | undefined;
  metadata(path: string): ChunkMetadata | undefined;
  readonly counts: {
    reads: number;
    has: number;
    commits: number;
    won: number;
    lost: number;
    bytesRead: number;
    bytesCommitted: number;
    smallReads: number;
    lists: number;
    removeCalls: number;
    removed: number;
  };
  readonly readGate: Gate;
  readonly hasGate: Gate;
  readonly commitGate: Gate;
  readonly closed: boolean;
}

interface StoredChunk {
  readonly body: Uint8Array;
  readonly metadata: ChunkMetadata | undefined;
}

export function fakeChunkStore(options: FakeStoreOptions = {}): FakeChunkStore {
  const { clock = systemClock, capacityBytes = Infinity, pageNames = MAX_STORE_NAMES } = options;
  const chunks = new Map<string, StoredChunk>();
  const smalls = new Map<string, Uint8Array>();
  const modified = new Map<string, number>();
  const faults: { readonly fault: StoreFault; left: number }[] = [];
  const counts = {
    reads: 0,
    has: 0,
    commits: 0,
    won: 0,
    lost: 0,
    bytesRead: 0,
    bytesCommitted: 0,
    smallReads: 0,
    lists: 0,
    removeCalls: 0,
    removed: 0,
  };
  const readGate = createGate();
  const hasGate = createGate();
  const commitGate = createGate();
  let closed = false;
  let down: OrcaError | undefined;

  const enter = async (
    on: StoreFault['on'],
    path: string,
    gate: Gate | undefined,
    call: CallOptions,
  ): Promise<StoreFault | undefined> => {
    await gate?.pass(call.signal);
    if (call.signal.aborted) throw cancelledBy(call.signal);
    if (down !== undefined) throw down;
    const found = faults.find((entry) => entry.fault.on === on && (entry.fault.path ?? path) === path);
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left === 0) faults.splice(faults.indexOf(found), 1);
    if ((found.fault.afterBytes ?? 0) === 0) throw found.fault.error;
    return found.fault;
  };
  const usedBytes = (): number => {
    let sum = 0;
    for (const { body } of chunks.values()) sum += body.length;
    for (const body of smalls.values()) sum += body.length;
    return sum;
  };
  const forget = (name: string): void => {
    chunks.delete(name);
    smalls.delete(name);
    modified.delete(name);
  };
  const entryOf = (name: string): StoredEntry => ({
    name,
    sizeBytes: (chunks.get(name)?.body ?? smalls.get(name))?.length ?? 0,
    modifiedMs: modified.get(name) ?? 0,
  });
  const change = (path: string, next: (stored: StoredChunk) => StoredChunk): void => {
    const stored = chunks.get(path);
    if (stored === undefined) throw new Error(`no chunk ${path} in the fake store`);
    chunks.set(path, next(stored));
  };
  const checked = (chunk: Chunk): StoredChunk => {
    const stored = chunks.get(chunk.path);
    if (stored === undefined) throw new OrcaError('chunk_missing', `no chunk ${chunk.path}`, { status: 404 });
    checkStored(chunk, stored.body.length, stored.metadata);
    return stored;
  };

  return {
    counts,
    readGate,
    hasGate,
    commitGate,
    get closed() {
      return closed;
    },
    get down() {
      return down;
    },
    set down(error) {
      down = error;
    },
    plant(chunk, body, metadata) {
      chunks.set(chunk.path, { body: new Uint8Array(body), metadata });
      modified.set(chunk.path, clock.date());
    },
    vanish: forget,
    modify(name, modifiedMs) {
      modified.set(name, modifiedMs);
    },
    get usedBytes() {
      return usedBytes();
    },
    flip(path, at) {
      change(path, ({ body, metadata }) => {
        const flipped = new Uint8Array(body);
        flipped[at] = (flipped[at] ?? 0) ^ 0xff;
        return { body: flipped, metadata };
      });
    },
    truncate(path, lengthBytes) {
      change(path, ({ body, metadata }) => ({ body: body.slice(0, lengthBytes), metadata }));
    },
    inject(fault) {
      faults.push({ fault, left: fault.times ?? 1 });
    },
    smallNames: () => [...smalls.keys()].toSorted(),
    paths: () => [...chunks.keys()].toSorted(),
    body: (path) => chunks.get(path)?.body,
    metadata: (path) => chunks.get(path)?.metadata,
    async read(chunk, range, sink, onInfo, call) {
      counts.reads += 1;
      const fault = await enter('read', chunk.path, readGate, call);
      const { body, metadata } = checked(chunk);
      onInfo(metadata);
      const to = Math.min(range.to, range.from + (fault?.afterBytes ?? Infinity));
      await copyInto(sink, body.subarray(range.from, to), call.signal);
      counts.bytesRead += to - range.from;
      if (fault !== undefined) throw fault.error;
    },
    async has(chunk, call) {
      counts.has += 1;
      await enter('has', chunk.path, hasGate, call);
      if (!chunks.has(chunk.path)) return false;
      checked(chunk);
      return true;
    },
    async commit(chunk, metadata, pieces, call) {
      counts.commits += 1;
      await enter('commit', chunk.path, commitGate, call);
      checkPieces(chunk, metadata, pieces);
      const body = Buffer.concat(pieces);
      if (crc32(body) !== metadata.crc32)
        throw new OrcaError('store_unavailable', `the upload of ${chunk.path} does not match its checksum`, {
          status: 400,
        });
      const stored = chunks.get(chunk.path);
      const same = stored !== undefined && isSameChunk(metadata, stored.body.length, stored.metadata);
      if (same && call.overwrite !== true) {
        counts.lost += 1;
        return 'lost';
      }
      if (usedBytes() + body.length > capacityBytes)
        throw new OrcaError('store_unavailable', 'the fake store is full', { status: 507 });
      chunks.set(chunk.path, { body, metadata });
      modified.set(chunk.path, clock.date());
      counts.won += 1;
      counts.bytesCommitted += body.length;
      return 'won';
    },
    async getSmall(name, call) {
      counts.smallReads += 1;
      await enter('small', name, undefined, call);
      return smalls.get(name);
    },
    async putSmall(name, body, call) {
      await enter('small', name, undefined, call);
      if (call.ifAbsent === true && smalls.has(name)) return 'lost';
      smalls.set(name, new Uint8Array(body));
      modified.set(name, clock.date());
      return 'won';
    },
    async deleteSmall(name, call) {
      await enter('small', name, undefined, call);
      forget(name);
    },
    async list(prefix, cursor, call) {
      counts.lists += 1;
      await enter('list', prefix, undefined, call);
      const begin = listPrefix(prefix);
      const names = [...chunks.keys(), ...smalls.keys()]
        .filter((name) => name.startsWith(begin) && (cursor === undefined || name > cursor))
        .toSorted();
      const page = names.slice(0, pageNames);
      return { entries: page.map(entryOf), cursor: names.length > page.length ? page.at(-1) : undefined };
    },
    async remove(names, call) {
      counts.removeCalls += 1;
      await enter('remove', '', undefined, call);
      const failed: { name: string; error: OrcaError }[] = [];
      for (const name of removableNames(names)) {
        try {
          await enter('remove', name, undefined, call);
          forget(name);
        } catch (error) {
          if (!(error instanceof OrcaError) || error.code === 'cancelled') throw error;
          failed.push({ name, error });
        }
      }
      counts.removed += names.length - failed.length;
      return { removed: names.length - failed.length, failed };
    },
    async close() {
      closed = true;
    },
  };
}
