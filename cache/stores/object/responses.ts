/** What an object store's responses must have before their bytes count. Pure. */
import { decodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { MAX_SMALL_BYTES } from '#cache/stores/paths.ts';
import { checkStored } from '#cache/stores/stored-chunk.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';

/** A body without a length may have been cut. */
export function wholeBody({ status, headers, body }: RawResponse, key: string): Uint8Array {
  if (!('content-length' in headers) && !('transfer-encoding' in headers))
    throw new OrcaError('store_unavailable', `the store sends ${key} without its length`, { status });
  if (body.length >= MAX_SMALL_BYTES)
    throw new OrcaError('store_unavailable', `${key} has ${MAX_SMALL_BYTES} bytes or more`, { status });
  return Uint8Array.from(body);
}

/** Undefined for unreadable metadata, which only mean that the stored chunk differs from ours. */
export function readableMetadata(fields: Readonly<Record<string, string>>): ChunkMetadata | undefined {
  try {
    return decodeMetadata(fields);
  } catch (error) {
    if (hasCode(error, 'chunk_bad')) return undefined;
    throw error;
  }
}

/** Returns the chunk's metadata. Throws unless the head promises exactly the requested bytes of this chunk. */
export function accept(
  chunk: Chunk,
  range: ByteRange,
  status: number,
  headers: ResponseHeaders,
  fields: Readonly<Record<string, string>>,
): ChunkMetadata | undefined {
  const wrong = (what: string): OrcaError =>
    new OrcaError('store_unavailable', `the store's response for ${chunk.path} does not match the request: ${what}`, {
      status,
    });
  // Chunks are never stored with a coding, so bytes with one are not the chunk's.
  if ('content-encoding' in headers) throw wrong('a content coding');
  // The client takes a chunked body only if it has the requested length.
  const isChunked = 'transfer-encoding' in headers && !('content-length' in headers);
  const length = isChunked ? range.to - range.from : Number(headers['content-length']);
  const got = status === 200 ? { from: 0, to: length, totalBytes: length } : contentRange(headers);
  if (got === undefined || (status !== 200 && status !== 206))
    throw wrong(`status ${status} without a usable Content-Range`);
  const metadata = decodeMetadata(fields);
  checkStored(chunk, got.totalBytes, metadata);
  if (got.from !== range.from || got.to !== range.to || length !== range.to - range.from) throw wrong('another range');
  return metadata;
}
