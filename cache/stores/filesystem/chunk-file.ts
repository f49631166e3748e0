/** The file of one chunk: its bytes, followed by the trailer with its metadata. */
import { open, type FileHandle } from 'node:fs/promises';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ByteSink } from '#cache/engine/ports.ts';
import { isSameChunk } from '#cache/stores/stored-chunk.ts';
import { cancelledBy, roomIn } from '#cache/wire/http1/sink.ts';
import { isErrno } from './exclusive-file.ts';
import { decodeFields, fieldsLength, FOOT_BYTES } from './trailer.ts';

export interface Stored {
  readonly lengthBytes: number;
  readonly metadata: ChunkMetadata | undefined;
}

export async function withFile(path: string, step: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'r');
  try {
    await step(file);
  } finally {
    await file.close();
  }
}

/** Length and metadata of the chunk in a file. A file of the chunk's length, or shorter, has no trailer. */
export async function describe(file: FileHandle, chunkBytes: number): Promise<Stored> {
  const { size } = await file.stat();
  if (size <= chunkBytes) return { lengthBytes: size, metadata: undefined };
  if (size < chunkBytes + FOOT_BYTES) throw new OrcaError('chunk_bad', 'the stored chunk is longer than it should be');
  const foot = await readExactly(file, size - FOOT_BYTES, FOOT_BYTES);
  const fieldsBytes = fieldsLength(foot);
  const lengthBytes = size - FOOT_BYTES - fieldsBytes;
  if (lengthBytes <= 0) throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is longer than the file');
  return { lengthBytes, metadata: decodeFields(await readExactly(file, lengthBytes, fieldsBytes), foot) };
}

export async function isStored(path: string, ours: ChunkMetadata): Promise<boolean> {
  let same = false;
  try {
    await withFile(path, async (file) => {
      const stored = await describe(file, ours.lengthBytes);
      same = isSameChunk(ours, stored.lengthBytes, stored.metadata);
    });
  } catch (error) {
    // Removed meanwhile, or not the chunk that we would have written: ours replaces it.
    if (!hasCode(error, 'chunk_bad') && !isErrno(error, 'ENOENT')) throw error;
  }
  return same;
}

/** Reads into the sink's memory. An abort waits for the read in progress, which still uses that memory. */
export async function copyRange(
  file: FileHandle,
  { from, to }: ByteRange,
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
