/**
 * The ChunkStore port over a shared filesystem: one file per chunk under its path, with its metadata in a trailer.
 * `link(2)` decides which writer wins. No call waits for the file system beyond its limit, and none uses Node's own
 * thread pool.
 */
import { join, relative } from 'node:path';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { StoreFindings } from '#cache/core/store-verdict.ts';
import type { ByteSink, CallOptions, HungCalls, ProbedStore, Removal, StoredPage } from '#cache/engine/ports.ts';
import { chunkKey, listPrefix, MAX_SMALL_BYTES, removableNames, smallKey } from '#cache/stores/paths.ts';
import { checkPieces, checkStored } from '#cache/stores/stored-chunk.ts';
import { untilAborted } from '#cache/wire/bounded.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import { systemClock, type Clock } from '#shared/clock.ts';
import { copyRange, isStored, withChunkFile } from './chunk-file.ts';
import {
  cleanUp,
  isErrno,
  linkExclusive,
  remove,
  replaceFile,
  sweepTemporary,
  writeTemporary,
} from './exclusive-file.ts';
import { FileThreads } from './file-threads.ts';
import { Files, type FileCall } from './files.ts';
import { probeLinks } from './probe.ts';
import { refusal, StoredNames } from './stored-names.ts';
import { encodeTrailer } from './trailer.ts';

/** For the first byte, and for small files. Callers that know better set a limit. */
const OPEN_LIMIT_MS = 5_000;
const READ_LIMIT_MS = 10_000;
/** A file server may write a whole chunk to its disks before an fsync returns. */
const WRITE_LIMIT_MS = 30_000;

export interface FilesystemStoreOptions {
  readonly path: string;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

const NEVER = new AbortController().signal;

export function openFilesystemStore(options: FilesystemStoreOptions): ProbedStore {
  return new FilesystemStore(options);
}

class FilesystemStore implements ProbedStore {
  readonly sharesMemory = true;
  readonly #root: string;
  readonly #threads: FileThreads;
  readonly #files: Files;
  readonly #names: StoredNames;
  /** Where `link(2)` works it is atomic; the probe detects a filesystem without it. */
  #linksDecide = true;
  #prepared: Promise<void> | undefined;

  constructor({ path, clock = systemClock }: FilesystemStoreOptions) {
    this.#root = path;
    this.#threads = new FileThreads(clock);
    this.#files = new Files(this.#threads);
    this.#names = new StoredNames(this.#files, path, clock);
  }

  get hung(): HungCalls {
    return this.#threads.hung;
  }

  async read(
    chunk: Chunk,
    range: ByteRange,
    sink: ByteSink,
    onInfo: (metadata: ChunkMetadata | undefined) => void,
    call: CallOptions,
  ): Promise<void> {
    const limits = { signal: call.signal, limitMs: call.stallTimeoutMs ?? READ_LIMIT_MS };
    await inStore(chunk.path, () =>
      withChunkFile(this.#files, this.#fileOf(chunk), chunk.lengthBytes, openLimits(call), (file, stored) => {
        checkStored(chunk, stored.lengthBytes, stored.metadata);
        onInfo(stored.metadata);
        return copyRange(file, range, sink, limits);
      }),
    );
  }

  async has(chunk: Chunk, call: CallOptions): Promise<boolean> {
    try {
      await inStore(chunk.path, () =>
        withChunkFile(this.#files, this.#fileOf(chunk), chunk.lengthBytes, openLimits(call), (_file, stored) =>
          checkStored(chunk, stored.lengthBytes, stored.metadata),
        ),
      );
      return true;
    } catch (error) {
      if (hasCode(error, 'chunk_missing')) return false;
      throw error;
    }
  }

  async commit(
    chunk: Chunk,
    metadata: ChunkMetadata,
    pieces: readonly Uint8Array[],
    call: CallOptions & { readonly overwrite?: boolean },
  ): Promise<'won' | 'lost'> {
    checkPieces(chunk, metadata, pieces);
    const path = this.#fileOf(chunk);
    const limits = writeLimits(call);
    const mayLose = call.overwrite !== true;
    return inStore(chunk.path, () =>
      this.#place(path, [...pieces, encodeTrailer(metadata)], limits, async (temporary) => {
        if (mayLose && this.#linksDecide && (await linkExclusive(this.#files, temporary, path, limits))) return 'won';
        if (mayLose && (await isStored(this.#files, path, metadata, limits))) return 'lost';
        await replaceFile(this.#files, temporary, path, limits);
        return 'won';
      }),
    );
  }

  async getSmall(name: string, call: CallOptions): Promise<Uint8Array | undefined> {
    const path = this.#smallFile(name);
    try {
      return await inStore(name, () => this.#files.readFile(path, MAX_SMALL_BYTES, openLimits(call)));
    } catch (error) {
      if (hasCode(error, 'chunk_missing')) return undefined;
      throw error;
    }
  }

  async putSmall(
    name: string,
    body: Uint8Array,
    call: CallOptions & { readonly ifAbsent?: boolean },
  ): Promise<'won' | 'lost'> {
    const path = this.#smallFile(name);
    const limits = writeLimits(call);
    return inStore(name, () =>
      this.#place(path, [body], limits, async (temporary) => {
        if (call.ifAbsent === true && this.#linksDecide)
          return (await linkExclusive(this.#files, temporary, path, limits)) ? 'won' : 'lost';
        if (call.ifAbsent === true && (await this.#exists(path, limits))) return 'lost';
        await replaceFile(this.#files, temporary, path, limits);
        return 'won';
      }),
    );
  }

  async deleteSmall(name: string, call: CallOptions): Promise<void> {
    const path = this.#smallFile(name);
    await inStore(name, () => remove(this.#files, path, writeLimits(call)));
  }

  async list(prefix: string, cursor: string | undefined, call: CallOptions): Promise<StoredPage> {
    const checked = listPrefix(prefix);
    return maintaining(`the store cannot list ${prefix}`, () => this.#names.list(checked, cursor, call));
  }

  async remove(names: readonly string[], call: CallOptions): Promise<Removal> {
    const checked = removableNames(names);
    return maintaining(`the store cannot remove ${names.length} names`, () => this.#names.remove(checked, call));
  }

  async totalBytes(call: CallOptions): Promise<number> {
    return maintaining('the store does not know its size', async () => {
      const limits = openLimits(call);
      await this.#prepare(limits);
      return this.#files.totalBytes(this.#root, limits);
    });
  }

  async probe(name: string, call: CallOptions): Promise<StoreFindings> {
    const limits = writeLimits(call);
    return inStore(name, async () => {
      await this.#prepare(limits);
      return probeLinks(this.#files, this.#root, smallKey(name), limits);
    });
  }

  trustConditions(isTrusted: boolean): void {
    this.#linksDecide = isTrusted;
  }

  async close(): Promise<void> {
    await this.#threads.close();
  }

  #fileOf(chunk: Chunk): string {
    return join(this.#root, chunkKey(chunk));
  }

  #smallFile(name: string): string {
    return join(this.#root, smallKey(name));
  }

  /** Creates the root and sweeps it before the first write. After a failure, the next write tries again. */
  async #prepare(call: FileCall): Promise<void> {
    const prepared = (this.#prepared ??= (async () => {
      // Not the caller's signal: other calls wait for it too.
      const limits = { signal: NEVER, limitMs: call.limitMs };
      await this.#files.mkdir(this.#root, limits);
      await sweepTemporary(this.#files, this.#root, Date.now(), limits);
    })());
    prepared.catch(() => {
      if (this.#prepared === prepared) this.#prepared = undefined;
    });
    await untilAborted(prepared, call.signal);
  }

  /** Writes a temporary file, lets `step` give it its name, and removes the temporary name. */
  async #place(
    path: string,
    pieces: readonly Uint8Array[],
    call: FileCall,
    step: (temporary: string) => Promise<'won' | 'lost'>,
  ): Promise<'won' | 'lost'> {
    if (call.signal.aborted) throw cancelledBy(call.signal);
    await this.#prepare(call);
    try {
      const temporary = await writeTemporary(this.#files, this.#root, pieces, call);
      try {
        const outcome = await step(temporary);
        await cleanUp(this.#files, temporary, undefined);
        this.#names.wrote(relative(this.#root, path));
        return outcome;
      } catch (error) {
        await cleanUp(this.#files, temporary, error);
        throw error;
      }
    } catch (error) {
      // Another process removes directories during the write: this must not look like a missing chunk.
      if (isErrno(error, 'ENOENT'))
        throw new OrcaError('store_unavailable', `${path} cannot be written`, { cause: error });
      throw error;
    }
  }

  async #exists(path: string, call: FileCall): Promise<boolean> {
    try {
      await this.#files.stat(path, call);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }
}

function openLimits({ signal, firstByteTimeoutMs = OPEN_LIMIT_MS }: CallOptions): FileCall {
  return { signal, limitMs: firstByteTimeoutMs };
}

/** For each operation of a write. */
function writeLimits({ signal }: CallOptions): FileCall {
  return { signal, limitMs: WRITE_LIMIT_MS };
}

/** Runs a list or a removal, and maps errors of the filesystem. */
async function maintaining<T>(message: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw error instanceof OrcaError ? error : refusal(message, error);
  }
}

/** Runs one call of the port and maps errors of the filesystem to error codes. */
async function inStore<T>(name: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof OrcaError) throw error;
    if (isErrno(error, 'ENOENT')) throw new OrcaError('chunk_missing', `the store has no ${name}`, { cause: error });
    throw new OrcaError('store_unavailable', `the store cannot read or write ${name}`, { cause: error });
  }
}
