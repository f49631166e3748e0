/**
 * The ChunkStore port over Azure Blob Storage: a chunk is one block blob named by its path, its metadata are the blob's,
 * and a commit is a conditional, checksummed Put Blob, so that one writer wins and a cut upload is never seen.
 */
import { decodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { CallOptions, ChunkStore } from '#cache/engine/ports.ts';
import { refusal } from '#cache/stores/azure-errors.ts';
import { metadataFields, openAzurePut } from '#cache/stores/azure-put.ts';
import { chunkKey, smallKey } from '#cache/stores/paths.ts';
import { toStoreError } from '#cache/stores/s3-errors.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import { openAzureClient, type AzureClientOptions } from '#cache/wire/azure-client.ts';
import { bufferSink } from '#cache/wire/buffer-sink.ts';
import type { ResponseHeaders } from '#cache/wire/response-head.ts';
import { contentRange } from '#cache/wire/s3-client.ts';

/** The store is near: what has not begun by then is an outage, and the next rung answers sooner. */
const READ_FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A store may write a whole chunk to its disks before it answers. */
const WRITE_ANSWER_TIMEOUT_MS = 30_000;
const STALL_TIMEOUT_MS = 10_000;
/** Identity, probe and manifest are a few KiB; the capability probe writes 8 MiB but reads it back in ranges of chunks. */
const MAX_SMALL_BYTES = 16 * 1024 * 1024;

export interface AzureStoreOptions extends AzureClientOptions {
  readonly container: string;
}

export function openAzureStore(options: AzureStoreOptions): ChunkStore {
  const { container } = options;
  const client = openAzureClient(options);
  const put = openAzurePut(client, container);
  const limits = (call: CallOptions, firstByteTimeoutMs = READ_FIRST_BYTE_TIMEOUT_MS): CallOptions => ({
    firstByteTimeoutMs,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    ...call,
  });

  /** What is stored under a chunk's path; undefined if nothing is. */
  const look = async (
    name: string,
    call: CallOptions,
  ): Promise<{ readonly lengthBytes: number; readonly headers: ResponseHeaders } | undefined> => {
    const response = await client.send({ method: 'HEAD', container, blob: name }, limits(call));
    if (response.status === 200 && 'content-length' in response.headers)
      return { lengthBytes: Number(response.headers['content-length']), headers: response.headers };
    const error = refusal(response, name);
    if (error.code === 'chunk_missing') return undefined;
    throw error;
  };

  return {
    async read(chunk, range, sink, onInfo, call) {
      const name = chunkKey(chunk);
      const onHead = (status: number, headers: ResponseHeaders): void => {
        if (status < 200 || status >= 300) return;
        onInfo(accept(chunk, range, status, headers));
      };
      const headers = { range: `bytes=${range.from}-${range.to - 1}` };
      try {
        const request = { method: 'GET', container, blob: name, headers, sink, onHead } as const;
        const response = await client.send(request, limits(call));
        // The range lies inside the chunk, so what can't satisfy it is shorter.
        if (response.status === 416)
          throw new OrcaError('chunk_bad', `${name} is stored shorter than it should be`, { status: 416 });
        if (response.status >= 300) throw refusal(response, name);
      } catch (error) {
        throw toStoreError(error, name);
      }
    },
    async has(chunk, call) {
      const name = chunkKey(chunk);
      try {
        const found = await look(name, call);
        if (found === undefined) return false;
        checkStored(chunk, found.lengthBytes, decodeMetadata(metadataFields(found.headers)));
        return true;
      } catch (error) {
        throw toStoreError(error, name);
      }
    },
    async commit(chunk, metadata, pieces, call) {
      const name = chunkKey(chunk);
      checkPieces(chunk, metadata, pieces);
      const isSame = async (): Promise<'same' | 'other' | 'absent'> => {
        const found = await look(name, call);
        if (found === undefined) return 'absent';
        return isSameChunk(metadata, found.lengthBytes, readableMetadata(found.headers)) ? 'same' : 'other';
      };
      const upload = { name, pieces, lengthBytes: chunk.lengthBytes, metadata };
      const callOptions = limits(call, WRITE_ANSWER_TIMEOUT_MS);
      try {
        if (call.overwrite === true) return await put.replace(upload, callOptions);
        return await put.create(upload, isSame, 'replace', callOptions);
      } catch (error) {
        throw toStoreError(error, name);
      }
    },
    async getSmall(name, call) {
      const blob = smallKey(name);
      const sink = bufferSink(MAX_SMALL_BYTES);
      try {
        const response = await client.send({ method: 'GET', container, blob, sink }, limits(call));
        if (response.status === 200) return sink.bytes();
        const error = refusal(response, blob);
        if (error.code === 'chunk_missing') return undefined;
        throw error;
      } catch (error) {
        throw toStoreError(error, blob);
      }
    },
    async putSmall(name, body, call) {
      const blob = smallKey(name);
      const upload = { name: blob, pieces: [body], lengthBytes: body.length };
      const callOptions = limits(call, WRITE_ANSWER_TIMEOUT_MS);
      const isSame = async (): Promise<'same' | 'other' | 'absent'> => {
        const stored = await this.getSmall(name, call);
        if (stored === undefined) return 'absent';
        return Buffer.from(stored).equals(body) ? 'same' : 'other';
      };
      try {
        if (call.ifAbsent !== true) return await put.replace(upload, callOptions);
        return await put.create(upload, isSame, 'lose', callOptions);
      } catch (error) {
        throw toStoreError(error, blob);
      }
    },
    async deleteSmall(name, call) {
      const blob = smallKey(name);
      try {
        const request = { method: 'DELETE', container, blob } as const;
        const response = await client.send(request, limits(call, WRITE_ANSWER_TIMEOUT_MS));
        if (response.status < 300) return;
        const error = refusal(response, blob);
        if (!hasCode(error, 'chunk_missing')) throw error;
      } catch (error) {
        throw toStoreError(error, blob);
      }
    },
    async close() {
      client.close();
    },
  };
}

/** The chunk's metadata, where what can't be read only means "not what we would have written". */
function readableMetadata(headers: ResponseHeaders): ChunkMetadata | undefined {
  try {
    return decodeMetadata(metadataFields(headers));
  } catch (error) {
    if (hasCode(error, 'chunk_bad')) return undefined;
    throw error;
  }
}

/** Throws unless the head promises exactly the bytes asked for, of this chunk; its metadata. */
function accept(
  chunk: Chunk,
  range: { readonly from: number; readonly to: number },
  status: number,
  headers: ResponseHeaders,
): ChunkMetadata | undefined {
  const wrong = (what: string): OrcaError =>
    new OrcaError('store_unavailable', `the store's answer for ${chunk.path} is not what was asked for: ${what}`, {
      status,
    });
  // We never store with a coding: bytes that carry one are not the chunk's.
  if ('content-encoding' in headers) throw wrong('a content coding');
  const length = Number(headers['content-length']);
  const got = status === 200 ? { from: 0, to: length, totalBytes: length } : contentRange(headers);
  if (got === undefined || (status !== 200 && status !== 206))
    throw wrong(`status ${status} without a usable Content-Range`);
  const metadata = decodeMetadata(metadataFields(headers));
  checkStored(chunk, got.totalBytes, metadata);
  if (got.from !== range.from || got.to !== range.to || length !== range.to - range.from) throw wrong('another range');
  return metadata;
}
