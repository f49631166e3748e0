/**
 * The ChunkStore port over a (shared) filesystem: one file a chunk under its path, with its metadata in a trailer, and
 * one winner by `link(2)`.
 */
import { open, readFile, mkdir, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, ProbedStore } from '#cache/engine/ports.ts';
import { isErrno, linkExclusive, remove, replaceFile, sweepTemporary, writeTemporary } from './exclusive-file.ts';
import { chunkKey, smallKey } from '#cache/stores/paths.ts';
import { probeLinks } from './probe.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import { decodeFields, encodeTrailer, fieldsLength, FOOT_BYTES } from './trailer.ts';
import { cancelledBy, roomIn } from '#cache/wire/http1/sink.ts';

export interface FilesystemStoreOptions {
  readonly path: string;
}

interface Stored {
  readonly lengthBytes: number;
  readonly metadata: ChunkMetadata | undefined;
}

export function openFilesystemStore({ path: root }: FilesystemStoreOptions): ProbedStore {
  const fileOf = (chunk: Chunk): string => join(root, chunkKey(chunk));
  /** `link(2)` decides who was first wherever there is one; a filesystem without it is found out by the probe. */
  let linksDecide = true;
  /** The root is made and swept before the first write; a failure is tried again by the next one. */
  let prepared: Promise<void> | undefined;
  const prepare = async (): Promise<void> => {
    prepared ??= (async () => {
      await mkdir(root, { recursive: true });
      await sweepTemporary(root, Date.now());
    })();
    try {
      await prepared;
    } catch (error) {
      prepared = undefined;
      throw error;
    }
  };
  /** Writes a file that appears whole: `create` says false, and leaves what is there, if the name is taken. */
  const place = async (
    path: string,
    pieces: readonly Uint8Array[],
    signal: AbortSignal,
    step: (temporary: string) => Promise<'won' | 'lost'>,
  ): Promise<'won' | 'lost'> => {
    await prepare();
    try {
      const temporary = await writeTemporary(root, pieces, signal);
      try {
        return await step(temporary);
      } finally {
        await remove(temporary);
      }
    } catch (error) {
      // Somebody removes directories under us: not the same as a chunk that is not there.
      if (isErrno(error, 'ENOENT'))
        throw new OrcaError('store_unavailable', `${path} can't be written`, { cause: error });
      throw error;
    }
  };

  return {
    async read(chunk, range, sink, onInfo, call) {
      await inStore(chunk.path, call.signal, async () => {
        await withFile(fileOf(chunk), async (file) => {
          const stored = await describe(file, chunk.lengthBytes);
          checkStored(chunk, stored.lengthBytes, stored.metadata);
          onInfo(stored.metadata);
          await copyRange(file, range.from, range.to, sink, call.signal);
        });
      });
    },
    async has(chunk, call) {
      try {
        await inStore(chunk.path, call.signal, async () => {
          await withFile(fileOf(chunk), async (file) => {
            const stored = await describe(file, chunk.lengthBytes);
            checkStored(chunk, stored.lengthBytes, stored.metadata);
          });
        });
        return true;
      } catch (error) {
        if (hasCode(error, 'chunk_missing')) return false;
        throw error;
      }
    },
    async commit(chunk, metadata, pieces, call) {
      checkPieces(chunk, metadata, pieces);
      const path = fileOf(chunk);
      return inStore(chunk.path, call.signal, () =>
        place(path, [...pieces, encodeTrailer(metadata)], call.signal, async (temporary) => {
          if (call.overwrite !== true && linksDecide && (await linkExclusive(temporary, path))) return 'won';
          if (call.overwrite !== true && (await isStored(path, metadata))) return 'lost';
          await replaceFile(temporary, path);
          return 'won';
        }),
      );
    },
    async getSmall(name, call) {
      const path = join(root, smallKey(name));
      try {
        return await inStore(name, call.signal, () => readFile(path));
      } catch (error) {
        if (hasCode(error, 'chunk_missing')) return undefined;
        throw error;
      }
    },
    async putSmall(name, body, call) {
      const path = join(root, smallKey(name));
      return inStore(name, call.signal, () =>
        place(path, [body], call.signal, async (temporary) => {
          if (call.ifAbsent === true && linksDecide) return (await linkExclusive(temporary, path)) ? 'won' : 'lost';
          if (call.ifAbsent === true && (await isThere(path))) return 'lost';
          await replaceFile(temporary, path);
          return 'won';
        }),
      );
    },
    async deleteSmall(name, call) {
      const path = join(root, smallKey(name));
      await inStore(name, call.signal, () => remove(path));
    },
    async probe(name, call) {
      return inStore(name, call.signal, async () => {
        await prepare();
        return probeLinks(root, smallKey(name), call.signal);
      });
    },
    trustConditions(isTrusted) {
      linksDecide = isTrusted;
    },
    async close() {
      // Files are open only while a call runs.
    },
  };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

async function withFile(path: string, step: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'r');
  try {
    await step(file);
  } finally {
    await file.close();
  }
}

/** What a chunk's file holds, by its length: shorter is bad, equal is the original's, longer ends in our trailer. */
async function describe(file: FileHandle, chunkBytes: number): Promise<Stored> {
  const { size } = await file.stat();
  if (size <= chunkBytes) return { lengthBytes: size, metadata: undefined };
  if (size < chunkBytes + FOOT_BYTES) throw new OrcaError('chunk_bad', 'the stored chunk is longer than it should be');
  const foot = await readExactly(file, size - FOOT_BYTES, FOOT_BYTES);
  const fieldsBytes = fieldsLength(foot);
  const lengthBytes = size - FOOT_BYTES - fieldsBytes;
  if (lengthBytes <= 0) throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is longer than the file');
  return { lengthBytes, metadata: decodeFields(await readExactly(file, lengthBytes, fieldsBytes), foot) };
}

async function isStored(path: string, ours: ChunkMetadata): Promise<boolean> {
  let same = false;
  try {
    await withFile(path, async (file) => {
      const stored = await describe(file, ours.lengthBytes);
      same = isSameChunk(ours, stored.lengthBytes, stored.metadata);
    });
  } catch (error) {
    // Removed meanwhile, or not what we would have written: then ours takes its place.
    if (!hasCode(error, 'chunk_bad') && !isErrno(error, 'ENOENT')) throw error;
  }
  return same;
}

async function readExactly(file: FileHandle, position: number, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const { bytesRead } = await file.read(buffer, done, lengthBytes - done, position + done);
    if (bytesRead === 0) throw new OrcaError('chunk_bad', 'the stored chunk became shorter while it was read');
    done += bytesRead;
  }
  return buffer;
}

/** Straight into the sink's memory. A read under way is waited for even when aborted: until then the memory is in use. */
async function copyRange(
  file: FileHandle,
  from: number,
  to: number,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<void> {
  let at = from;
  while (at < to) {
    const space = await roomIn(sink, signal);
    const { bytesRead } = await file.read(space, 0, Math.min(space.length, to - at), at);
    if (signal.aborted) throw cancelledBy(signal);
    if (bytesRead === 0) throw new OrcaError('chunk_bad', 'the stored chunk became shorter while it was read');
    sink.filled(bytesRead);
    at += bytesRead;
  }
}

/** Runs one call of the port and turns what the filesystem says into the engine's words. */
async function inStore<T>(name: string, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  if (signal.aborted) throw cancelledBy(signal);
  try {
    return await step();
  } catch (error) {
    if (error instanceof OrcaError) throw error;
    if (isErrno(error, 'ENOENT')) throw new OrcaError('chunk_missing', `the store has no ${name}`, { cause: error });
    throw new OrcaError('store_unavailable', `the store can't read or write ${name}`, { cause: error });
  }
}
