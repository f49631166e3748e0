/**
 * The ChunkStore port over a shared filesystem: one file per chunk under its path, with its metadata in a trailer.
 * `link(2)` decides which writer wins.
 */
import { readFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { StoreFindings } from '#cache/core/store-verdict.ts';
import type { ByteSink, CallOptions, ProbedStore } from '#cache/engine/ports.ts';
import { chunkKey, smallKey } from '#cache/stores/paths.ts';
import { checkPieces, checkStored } from '#cache/stores/stored-chunk.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import { copyRange, describe, isStored, withFile } from './chunk-file.ts';
import { isErrno, linkExclusive, remove, replaceFile, sweepTemporary, writeTemporary } from './exclusive-file.ts';
import { probeLinks } from './probe.ts';
import { encodeTrailer } from './trailer.ts';

export interface FilesystemStoreOptions {
  readonly path: string;
}

export function openFilesystemStore(options: FilesystemStoreOptions): ProbedStore {
  return new FilesystemStore(options);
}

class FilesystemStore implements ProbedStore {
  readonly #root: string;
  /** Where `link(2)` works it is atomic; the probe detects a filesystem without it. */
  #linksDecide = true;
  #prepared: Promise<void> | undefined;

  constructor({ path }: FilesystemStoreOptions) {
    this.#root = path;
  }

  async read(
    chunk: Chunk,
    range: ByteRange,
    sink: ByteSink,
    onInfo: (metadata: ChunkMetadata | undefined) => void,
    call: CallOptions,
  ): Promise<void> {
    await inStore(chunk.path, call.signal, () =>
      withFile(this.#fileOf(chunk), async (file) => {
        const stored = await describe(file, chunk.lengthBytes);
        checkStored(chunk, stored.lengthBytes, stored.metadata);
        onInfo(stored.metadata);
        await copyRange(file, range, sink, call.signal);
      }),
    );
  }

  async has(chunk: Chunk, call: CallOptions): Promise<boolean> {
    try {
      await inStore(chunk.path, call.signal, () =>
        withFile(this.#fileOf(chunk), async (file) => {
          const stored = await describe(file, chunk.lengthBytes);
          checkStored(chunk, stored.lengthBytes, stored.metadata);
        }),
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
    return inStore(chunk.path, call.signal, () =>
      this.#place(path, [...pieces, encodeTrailer(metadata)], call.signal, async (temporary) => {
        if (call.overwrite !== true && this.#linksDecide && (await linkExclusive(temporary, path))) return 'won';
        if (call.overwrite !== true && (await isStored(path, metadata))) return 'lost';
        await replaceFile(temporary, path);
        return 'won';
      }),
    );
  }

  async getSmall(name: string, call: CallOptions): Promise<Uint8Array | undefined> {
    const path = this.#smallFile(name);
    try {
      return await inStore(name, call.signal, () => readFile(path));
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
    return inStore(name, call.signal, () =>
      this.#place(path, [body], call.signal, async (temporary) => {
        if (call.ifAbsent === true && this.#linksDecide) return (await linkExclusive(temporary, path)) ? 'won' : 'lost';
        if (call.ifAbsent === true && (await exists(path))) return 'lost';
        await replaceFile(temporary, path);
        return 'won';
      }),
    );
  }

  async deleteSmall(name: string, call: CallOptions): Promise<void> {
    const path = this.#smallFile(name);
    await inStore(name, call.signal, () => remove(path));
  }

  async probe(name: string, call: CallOptions): Promise<StoreFindings> {
    return inStore(name, call.signal, async () => {
      await this.#prepare();
      return probeLinks(this.#root, smallKey(name), call.signal);
    });
  }

  trustConditions(isTrusted: boolean): void {
    this.#linksDecide = isTrusted;
  }

  /** Nothing to close: files are open only during a call. */
  async close(): Promise<void> {}

  #fileOf(chunk: Chunk): string {
    return join(this.#root, chunkKey(chunk));
  }

  #smallFile(name: string): string {
    return join(this.#root, smallKey(name));
  }

  /** Creates the root and sweeps it before the first write. After a failure, the next write tries again. */
  async #prepare(): Promise<void> {
    this.#prepared ??= (async () => {
      await mkdir(this.#root, { recursive: true });
      await sweepTemporary(this.#root, Date.now());
    })();
    try {
      await this.#prepared;
    } catch (error) {
      this.#prepared = undefined;
      throw error;
    }
  }

  /** Writes a temporary file, lets `step` give it its name, and removes the temporary name. */
  async #place(
    path: string,
    pieces: readonly Uint8Array[],
    signal: AbortSignal,
    step: (temporary: string) => Promise<'won' | 'lost'>,
  ): Promise<'won' | 'lost'> {
    await this.#prepare();
    try {
      const temporary = await writeTemporary(this.#root, pieces, signal);
      try {
        return await step(temporary);
      } finally {
        await remove(temporary);
      }
    } catch (error) {
      // Another process removes directories during the write: this must not look like a missing chunk.
      if (isErrno(error, 'ENOENT'))
        throw new OrcaError('store_unavailable', `${path} cannot be written`, { cause: error });
      throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Runs one call of the port and maps errors of the filesystem to error codes. */
async function inStore<T>(name: string, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  if (signal.aborted) throw cancelledBy(signal);
  try {
    return await step();
  } catch (error) {
    if (error instanceof OrcaError) throw error;
    if (isErrno(error, 'ENOENT')) throw new OrcaError('chunk_missing', `the store has no ${name}`, { cause: error });
    throw new OrcaError('store_unavailable', `the store cannot read or write ${name}`, { cause: error });
  }
}
