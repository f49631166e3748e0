/** The file of one chunk: its bytes, followed by the trailer with its metadata. */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ByteSink } from '#cache/engine/ports.ts';
import { isSameChunk } from '#cache/stores/stored-chunk.ts';
import { roomIn } from '#cache/wire/http1/sink.ts';
import { isErrno } from './exclusive-file.ts';
import type { FileCall, Files, OpenFile } from './files.ts';
import { decodeFields, fieldsLength, FOOT_BYTES } from './trailer.ts';

/** Holds nearly every trailer: that of a large chunk has about 1 KiB. */
const TAIL_BYTES = 4 * 1024;

export interface Stored {
  readonly lengthBytes: number;
  readonly metadata: ChunkMetadata | undefined;
}

/** Opens the file at `path` with what it says about its chunk; closes it after `step`. */
export async function withChunkFile<T>(
  files: Files,
  path: string,
  chunkBytes: number,
  call: FileCall,
  step: (file: OpenFile, stored: Stored) => Promise<T> | T,
): Promise<T> {
  const opened = await files.open(path, { beyondBytes: chunkBytes, tailBytes: TAIL_BYTES }, call);
  try {
    return await step(opened.file, await describe(opened, chunkBytes, call));
  } finally {
    opened.file.close();
  }
}

/** Length and metadata of the chunk in a file. A file of the chunk's length, or shorter, has no trailer. */
async function describe(
  { file, sizeBytes, tail }: Awaited<ReturnType<Files['open']>>,
  chunkBytes: number,
  call: FileCall,
): Promise<Stored> {
  if (sizeBytes <= chunkBytes) return { lengthBytes: sizeBytes, metadata: undefined };
  if (sizeBytes < chunkBytes + FOOT_BYTES)
    throw new OrcaError('chunk_bad', 'the stored chunk is longer than it should be');
  const foot = Buffer.from(tail.subarray(Math.max(0, tail.length - FOOT_BYTES)));
  const fieldsBytes = fieldsLength(foot);
  const lengthBytes = sizeBytes - FOOT_BYTES - fieldsBytes;
  if (lengthBytes <= 0) throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is longer than the file');
  const trailerBytes = fieldsBytes + FOOT_BYTES;
  const fields =
    trailerBytes <= tail.length
      ? Buffer.from(tail.subarray(tail.length - trailerBytes, tail.length - FOOT_BYTES))
      : await readExactly(file, lengthBytes, fieldsBytes, call);
  return { lengthBytes, metadata: decodeFields(fields, foot) };
}

export async function isStored(files: Files, path: string, ours: ChunkMetadata, call: FileCall): Promise<boolean> {
  try {
    return await withChunkFile(files, path, ours.lengthBytes, call, (_file, stored) =>
      isSameChunk(ours, stored.lengthBytes, stored.metadata),
    );
  } catch (error) {
    // Removed meanwhile, or not the chunk that we would have written: ours replaces it.
    if (!hasCode(error, 'chunk_bad') && !isErrno(error, 'ENOENT')) throw error;
    return false;
  }
}

/**
 * Reads into the sink's memory. A read that has not returned when the call ends keeps that memory until it does.
 */
export async function copyRange(
  file: OpenFile,
  { from, to }: ByteRange,
  sink: ByteSink,
  call: FileCall,
): Promise<void> {
  const keep = sink.keep && (() => sink.keep!());
  let at = from;
  while (at < to) {
    const space = await roomIn(sink, call.signal);
    const bytesRead = await file.read(space.subarray(0, to - at), at, call, keep);
    if (bytesRead === 0) throw becameShorter();
    sink.filled(bytesRead);
    at += bytesRead;
  }
}

async function readExactly(file: OpenFile, position: number, lengthBytes: number, call: FileCall): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const bytesRead = await file.read(buffer.subarray(done), position + done, call);
    if (bytesRead === 0) throw becameShorter();
    done += bytesRead;
  }
  return buffer;
}

function becameShorter(): OrcaError {
  return new OrcaError('chunk_bad', 'the stored chunk became shorter while it was read');
}
