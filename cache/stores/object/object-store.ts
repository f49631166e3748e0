/**
 * The ChunkStore port over an object store, independent of its protocol. A chunk is one object named by its path, with
 * its metadata as user metadata. A commit is a conditional, checksummed PUT: exactly one writer wins, and a truncated
 * upload never becomes visible.
 */
import { decodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { crc32 } from '#cache/core/crc32.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { StoreFindings, StoreProblem } from '#cache/core/store-verdict.ts';
import type { ByteSink, CallOptions, ProbedStore, Removal, StoredPage } from '#cache/engine/ports.ts';
import { chunkKey, listPrefix, MAX_SMALL_BYTES, removableNames, smallKey } from '#cache/stores/paths.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { systemClock, type Clock } from '#shared/clock.ts';
import { ExclusivePut, type Found } from './exclusive-put.ts';
import type { ObjectWire } from './object-wire.ts';
import { firstKey, probeRace } from './race-probe.ts';
import { removeEach } from './removal.ts';
import { accept, readableMetadata, wholeBody } from './responses.ts';
import { isPassing, toStoreError } from './store-errors.ts';

/** The store is near: a response that takes longer is an outage, and the next source answers sooner. */
const READ_FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A store may write a whole chunk to its disks before it answers. */
const WRITE_ANSWER_TIMEOUT_MS = 30_000;
const STALL_TIMEOUT_MS = 10_000;
const CLEAN_UP_TIMEOUT_MS = 5_000;

export function openObjectStore(wire: ObjectWire, clock: Clock = systemClock): ProbedStore {
  return new ObjectStore(wire, clock);
}

class ObjectStore implements ProbedStore {
  readonly #wire: ObjectWire;
  readonly #put: ExclusivePut;

  constructor(wire: ObjectWire, clock: Clock) {
    this.#wire = wire;
    this.#put = new ExclusivePut(wire, clock);
  }

  async read(
    chunk: Chunk,
    range: ByteRange,
    sink: ByteSink,
    onInfo: (metadata: ChunkMetadata | undefined) => void,
    call: CallOptions,
  ): Promise<void> {
    const key = chunkKey(chunk);
    const onHead = (status: number, headers: ResponseHeaders): void => {
      if (status < 200 || status >= 300) return;
      onInfo(accept(chunk, range, status, headers, this.#wire.metadataFields(headers)));
    };
    const headers = { range: `bytes=${range.from}-${range.to - 1}` };
    try {
      const response = await this.#wire.send(
        { method: 'GET', key, headers, sink, expectedBytes: range.to - range.from, onHead },
        readLimits(call),
      );
      // The range is inside the chunk, so an object that cannot satisfy it is shorter.
      if (response.status === 416)
        throw new OrcaError('chunk_bad', `${key} is stored shorter than it should be`, { status: 416 });
      if (response.status >= 300) throw this.#wire.errorFor(response, key);
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async has(chunk: Chunk, call: CallOptions): Promise<boolean> {
    const key = chunkKey(chunk);
    try {
      const found = await this.#find(key, call);
      if (found === undefined) return false;
      checkStored(chunk, found.lengthBytes, decodeMetadata(this.#wire.metadataFields(found.headers)));
      return true;
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async commit(
    chunk: Chunk,
    metadata: ChunkMetadata,
    pieces: readonly Uint8Array[],
    call: CallOptions & { readonly overwrite?: boolean },
  ): Promise<'won' | 'lost'> {
    const key = chunkKey(chunk);
    checkPieces(chunk, metadata, pieces);
    const find = async (): Promise<Found> => {
      const found = await this.#find(key, call);
      if (found === undefined) return 'absent';
      const stored = readableMetadata(this.#wire.metadataFields(found.headers));
      return isSameChunk(metadata, found.lengthBytes, stored) ? 'same' : 'other';
    };
    const upload = { key, pieces, crc32: metadata.crc32, lengthBytes: chunk.lengthBytes, metadata };
    try {
      if (call.overwrite === true) return await this.#put.replace(upload, writeLimits(call));
      return await this.#put.create(upload, { find, ifOther: 'replace' }, writeLimits(call));
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async getSmall(name: string, call: CallOptions): Promise<Uint8Array | undefined> {
    const key = smallKey(name);
    try {
      const request = { method: 'GET', key, maxCollectedBytes: MAX_SMALL_BYTES } as const;
      const response = await this.#wire.send(request, readLimits(call));
      if (response.status === 200) return wholeBody(response, key);
      const error = this.#wire.errorFor(response, key);
      if (error.code === 'chunk_missing') return undefined;
      throw error;
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async putSmall(
    name: string,
    body: Uint8Array,
    call: CallOptions & { readonly ifAbsent?: boolean },
  ): Promise<'won' | 'lost'> {
    const key = smallKey(name);
    const upload = { key, pieces: [body], crc32: crc32(body), lengthBytes: body.length };
    const find = async (): Promise<Found> => {
      const stored = await this.getSmall(name, call);
      if (stored === undefined) return 'absent';
      return Buffer.from(stored).equals(body) ? 'same' : 'other';
    };
    try {
      if (call.ifAbsent !== true) return await this.#put.replace(upload, writeLimits(call));
      return await this.#put.create(upload, { find, ifOther: 'lose' }, writeLimits(call));
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async deleteSmall(name: string, call: CallOptions): Promise<void> {
    const key = smallKey(name);
    try {
      await this.#delete(key, call);
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async list(prefix: string, cursor: string | undefined, call: CallOptions): Promise<StoredPage> {
    const where = { prefix: listPrefix(prefix), cursor };
    try {
      return await this.#wire.list(where, { stallTimeoutMs: STALL_TIMEOUT_MS, ...call });
    } catch (error) {
      throw toStoreError(error, `the list of ${prefix}`);
    }
  }

  async remove(names: readonly string[], call: CallOptions): Promise<Removal> {
    if (removableNames(names).length === 0) return { removed: 0, failed: [] };
    try {
      const removal = await this.#wire.removeAll?.(names, writeLimits(call));
      return removal ?? (await removeEach(names, (name) => this.#delete(name, call)));
    } catch (error) {
      throw toStoreError(error, `the removal of ${names.length} names`);
    }
  }

  async probe(name: string, call: CallOptions): Promise<StoreFindings> {
    const key = smallKey(name);
    try {
      let findings: StoreFindings;
      let isListed = true;
      let isDeleted = true;
      try {
        findings = await probeRace({ wire: this.#wire, put: this.#put }, key, writeLimits(call));
        isListed = await this.#isListed(key, call);
      } finally {
        isDeleted = await this.#deleteProbes(name, call);
      }
      const problems: StoreProblem[] = [...findings.problems];
      if (!isListed) problems.push('list');
      if (!isDeleted) problems.push('delete');
      return { ...findings, problems };
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  trustConditions(isTrusted: boolean): void {
    this.#put.trust(isTrusted);
  }

  async close(): Promise<void> {
    this.#wire.close();
  }

  async #delete(key: string, call: CallOptions): Promise<void> {
    const response = await this.#wire.send({ method: 'DELETE', key }, writeLimits(call));
    if (response.status < 300) return;
    const error = this.#wire.errorFor(response, key);
    if (!hasCode(error, 'chunk_missing')) throw error;
  }

  /** The object stored under a chunk's path; undefined without one. */
  async #find(
    key: string,
    call: CallOptions,
  ): Promise<{ readonly lengthBytes: number; readonly headers: ResponseHeaders } | undefined> {
    const response = await this.#wire.send({ method: 'HEAD', key }, readLimits(call));
    const length = response.headers['content-length'];
    if (response.status === 200 && length !== undefined)
      return { lengthBytes: Number(length), headers: response.headers };
    const error = this.#wire.errorFor(response, key);
    if (error.code === 'chunk_missing') return undefined;
    throw error;
  }

  /** Whether a list has an object that is stored. Without an answer it is assumed to. */
  async #isListed(key: string, call: CallOptions): Promise<boolean> {
    try {
      const { entries } = await this.list(key, undefined, call);
      return entries.some(({ name }) => name === key);
    } catch (error) {
      const failure = toStoreError(error, key);
      if (failure.code === 'cancelled') throw failure;
      return isPassing(failure);
    }
  }

  /** Whether both objects of the probe could be deleted. */
  async #deleteProbes(name: string, call: CallOptions): Promise<boolean> {
    // Not the caller's signal: the names are random, so after a shutdown no other process could delete them.
    const signal = AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS);
    const deletions = await Promise.allSettled(
      [name, firstKey(name)].map((probe) => this.deleteSmall(probe, { ...call, signal })),
    );
    return deletions.every(({ status }) => status === 'fulfilled');
  }
}

function readLimits(call: CallOptions): CallOptions {
  return { firstByteTimeoutMs: READ_FIRST_BYTE_TIMEOUT_MS, stallTimeoutMs: STALL_TIMEOUT_MS, ...call };
}

function writeLimits(call: CallOptions): CallOptions {
  return { firstByteTimeoutMs: WRITE_ANSWER_TIMEOUT_MS, stallTimeoutMs: STALL_TIMEOUT_MS, ...call };
}
