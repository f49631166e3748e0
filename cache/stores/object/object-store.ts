/**
 * The ChunkStore port over an object store, whatever its protocol: a chunk is one object named by its path, its metadata are user
 * metadata, and a commit is a conditional, checksummed PUT, so that one writer wins and a cut upload is never seen.
 */
import { crc32 } from 'node:zlib';
import { decodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { StoreFindings } from '#cache/core/store-verdict.ts';
import type { CallOptions, ProbedStore } from '#cache/engine/ports.ts';
import { chunkKey, smallKey } from '#cache/stores/paths.ts';
import { openExclusivePut } from './exclusive-put.ts';
import type { ObjectWire } from './object-wire.ts';
import { firstKey, probeRace } from './race-probe.ts';
import { toStoreError } from './store-errors.ts';
import { checkPieces, checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import { bufferSink } from '#cache/wire/http1/buffer-sink.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';

/** The store is near: what has not begun by then is an outage, and the next rung answers sooner. */
const READ_FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A store may write a whole chunk to its disks before it answers. */
const WRITE_ANSWER_TIMEOUT_MS = 30_000;
const STALL_TIMEOUT_MS = 10_000;
const CLEAN_UP_TIMEOUT_MS = 5_000;
/** Identity, verdict and manifests are a few KiB; what is much larger is not ours. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;

export function openObjectStore(wire: ObjectWire): ProbedStore {
  const limits = (call: CallOptions, firstByteTimeoutMs = READ_FIRST_BYTE_TIMEOUT_MS): CallOptions => ({
    firstByteTimeoutMs,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    ...call,
  });
  const put = openExclusivePut(wire);

  /** What is stored under a chunk's path; undefined if nothing is. */
  const look = async (
    key: string,
    call: CallOptions,
  ): Promise<{ readonly lengthBytes: number; readonly headers: ResponseHeaders } | undefined> => {
    const response = await wire.send({ method: 'HEAD', key }, limits(call));
    const length = response.headers['content-length'];
    if (response.status === 200 && length !== undefined)
      return { lengthBytes: Number(length), headers: response.headers };
    const error = wire.refusal(response, key);
    if (error.code === 'chunk_missing') return undefined;
    throw error;
  };

  return {
    async read(chunk, range, sink, onInfo, call) {
      const key = chunkKey(chunk);
      const onHead = (status: number, headers: ResponseHeaders): void => {
        if (status < 200 || status >= 300) return;
        onInfo(accept(chunk, range, status, headers, wire.metadataFields(headers)));
      };
      const headers = { range: `bytes=${range.from}-${range.to - 1}` };
      try {
        const response = await wire.send({ method: 'GET', key, headers, sink, onHead }, limits(call));
        // The range lies inside the chunk, so what can't satisfy it is shorter.
        if (response.status === 416)
          throw new OrcaError('chunk_bad', `${key} is stored shorter than it should be`, { status: 416 });
        if (response.status >= 300) throw wire.refusal(response, key);
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    async has(chunk, call) {
      const key = chunkKey(chunk);
      try {
        const found = await look(key, call);
        if (found === undefined) return false;
        checkStored(chunk, found.lengthBytes, decodeMetadata(wire.metadataFields(found.headers)));
        return true;
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    async commit(chunk, metadata, pieces, call) {
      const key = chunkKey(chunk);
      checkPieces(chunk, metadata, pieces);
      const isSame = async (): Promise<'same' | 'other' | 'absent'> => {
        const found = await look(key, call);
        if (found === undefined) return 'absent';
        const theirs = readableMetadata(wire.metadataFields(found.headers));
        return isSameChunk(metadata, found.lengthBytes, theirs) ? 'same' : 'other';
      };
      const upload = { key, pieces, crc32: metadata.crc32, lengthBytes: chunk.lengthBytes, metadata };
      const callOptions = limits(call, WRITE_ANSWER_TIMEOUT_MS);
      try {
        if (call.overwrite === true) return await put.replace(upload, callOptions);
        return await put.create(upload, isSame, 'replace', callOptions);
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    async getSmall(name, call) {
      const key = smallKey(name);
      const sink = bufferSink(MAX_SMALL_BYTES);
      try {
        const response = await wire.send({ method: 'GET', key, sink }, limits(call));
        if (response.status === 200) return sink.bytes();
        const error = wire.refusal(response, key);
        if (error.code === 'chunk_missing') return undefined;
        throw error;
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    async putSmall(name, body, call) {
      const key = smallKey(name);
      const upload = { key, pieces: [body], crc32: crc32(body), lengthBytes: body.length };
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
        throw toStoreError(error, key);
      }
    },
    async deleteSmall(name, call) {
      const key = smallKey(name);
      try {
        const response = await wire.send({ method: 'DELETE', key }, limits(call, WRITE_ANSWER_TIMEOUT_MS));
        if (response.status < 300) return;
        const error = wire.refusal(response, key);
        if (!hasCode(error, 'chunk_missing')) throw error;
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    async probe(name, call) {
      const key = smallKey(name);
      const undeleted: unknown[] = [];
      const cleanUp = async (): Promise<void> => {
        // Also when the process ends: nobody else knows the names.
        const signal = AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS);
        const deletions = [name, firstKey(name)].map((left) => this.deleteSmall(left, { signal }));
        for (const deletion of await Promise.allSettled(deletions))
          if (deletion.status === 'rejected') undeleted.push(deletion.reason);
      };
      try {
        let findings: StoreFindings;
        try {
          findings = await probeRace({ wire, put }, key, limits(call, WRITE_ANSWER_TIMEOUT_MS));
        } finally {
          await cleanUp();
        }
        return undeleted.length === 0 ? findings : { ...findings, problems: [...findings.problems, 'delete'] };
      } catch (error) {
        throw toStoreError(error, key);
      }
    },
    trustConditions: (isTrusted) => put.trust(isTrusted),
    async close() {
      wire.close();
    },
  };
}

/** Of stored fields, where what can't be read only means "not what we would have written". */
function readableMetadata(fields: Readonly<Record<string, string>>): ChunkMetadata | undefined {
  try {
    return decodeMetadata(fields);
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
  fields: Readonly<Record<string, string>>,
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
  const metadata = decodeMetadata(fields);
  checkStored(chunk, got.totalBytes, metadata);
  if (got.from !== range.from || got.to !== range.to || length !== range.to - range.from) throw wrong('another range');
  return metadata;
}
