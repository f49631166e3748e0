/**
 * The Origin port over Azure Blob Storage: block blobs as S3 objects. Azure's own conditions differ from HTTP's, so only
 * the pin (`If-Match`) is ever sent. Nothing is retried here; an answer counts only if it is exactly what was asked for.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { rangeLength, type ByteRange, type ObjectHead, type ObjectVersion } from '#cache/core/object.ts';
import type { CallOptions, Origin } from '#cache/engine/ports.ts';
import { isDirectory, s3Headers } from '#cache/origins/azure-headers.ts';
import { asAzureEtag, openAzureClient, s3EtagOf, type AzureClientOptions } from '#cache/wire/azure-client.ts';
import type { ResponseHeaders } from '#cache/wire/response-head.ts';
import { contentRange } from '#cache/wire/s3-client.ts';
import { errorFor, toOrcaError } from './azure-errors.ts';
import { openAzureList } from './azure-list.ts';

/** One origin attempt waits so long for its first byte; the engine's retry budget is built on it. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A part that makes no progress for so long while we want bytes is taken up on another connection. */
const STALL_TIMEOUT_MS = 10_000;

export function openAzureOrigin(options: AzureClientOptions): Origin {
  const client = openAzureClient(options);
  const lists = openAzureList(client);
  const limits = (call: CallOptions): CallOptions => ({
    firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    ...call,
  });
  const where = (bucket: string, key: string): string => `${bucket}/${key}`;

  const lookUp = async (bucket: string, key: string, call: CallOptions): Promise<ObjectHead> => {
    const response = await client.send({ method: 'HEAD', container: bucket, blob: key }, limits(call));
    if (response.status !== 200) throw errorFor(response, bucket, key);
    return headOf(response.headers, where(bucket, key));
  };

  return {
    async head(bucket, key, call) {
      try {
        return await lookUp(bucket, key, call);
      } catch (error) {
        throw toOrcaError(error, where(bucket, key));
      }
    },
    async read(object, range, sink, call) {
      const { bucket, key, etag } = object;
      const headers = { range: `bytes=${range.from}-${range.to - 1}`, 'if-match': `"${asAzureEtag(etag)}"` };
      const onHead = (status: number, answer: ResponseHeaders): void => {
        if (status >= 200 && status < 300) accept(status, answer, object, range);
      };
      try {
        const request = { method: 'GET', container: bucket, blob: key, headers, sink, onHead } as const;
        const response = await client.send(request, limits(call));
        // A deleted blob has another ETag than any, says Azure: a HEAD tells the two apart, and rejects if it is gone.
        if (response.status === 412) await lookUp(bucket, key, call);
        if (response.status >= 300) throw errorFor(response, bucket, key);
      } catch (error) {
        throw toOrcaError(error, where(bucket, key));
      }
    },
    // A blob's blocks are nobody's parts: its ETag speaks of one, and that one is all of it.
    async part(object, part) {
      if (part !== 1) throw new OrcaError('part_not_found', `${where(object.bucket, object.key)} has no part ${part}`);
      return { from: 0, to: object.sizeBytes };
    },
    async probe(bucket, prefix, call) {
      const key = `${prefix}_orca-probe`;
      try {
        const headers = { range: 'bytes=0-0' };
        const response = await client.send({ method: 'GET', container: bucket, blob: key, headers }, limits(call));
        if (response.status < 300 || response.status === 416) return 'reachable';
        const error = errorFor(response, bucket, key);
        if (error.code === 'not_found') return 'reachable';
        throw error;
      } catch (error) {
        throw toOrcaError(error, where(bucket, key));
      }
    },
    list: (bucket, query, call) => lists.list(bucket, query, call),
    async close() {
      client.close();
    },
  };
}

function headOf(headers: ResponseHeaders, name: string): ObjectHead {
  if (isDirectory(headers['x-ms-resource-type'], headers['x-ms-meta-hdi_isfolder']))
    throw new OrcaError('not_found', `${name} is a directory at the origin`, { status: 200 });
  checkType(headers, name);
  const etag = s3EtagOf(headers);
  if (etag === undefined) throw new OrcaError('origin_missing_etag', `the origin gives ${name} no strong ETag`);
  const length = headers['content-length'] ?? '';
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
    throw new OrcaError('origin_unavailable', `the origin does not say how long ${name} is`);
  const lastModifiedMs = Date.parse(headers['last-modified'] ?? '');
  return {
    etag,
    sizeBytes: Number(length),
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? 0 : lastModifiedMs,
    headers: s3Headers(headers),
  };
}

/** Append blobs grow and page blobs are written in place, under readers that have begun. */
function checkType(headers: ResponseHeaders, name: string): void {
  const type = headers['x-ms-blob-type'] ?? 'BlockBlob';
  if (type !== 'BlockBlob') throw new OrcaError('origin_unsupported', `${name} is of type ${type} at the origin`);
}

/** Throws unless the head promises exactly the bytes asked for. */
function accept(status: number, headers: ResponseHeaders, object: ObjectVersion, range: ByteRange): void {
  const name = `${object.bucket}/${object.key}`;
  const wrong = (what: string): OrcaError =>
    new OrcaError('origin_unavailable', `the origin's answer for ${name} is not what was asked for: ${what}`, {
      status,
    });
  const changed = (what: string): OrcaError =>
    new OrcaError('object_changed', `${name} has changed: ${what}`, { status });

  checkType(headers, name);
  const etag = s3EtagOf(headers);
  if (etag === undefined) throw wrong('no strong ETag');
  if (etag !== object.etag) throw changed('another ETag');
  const length = Number(headers['content-length']);
  const got = status === 200 ? { from: 0, to: length, totalBytes: length } : contentRange(headers);
  if ((status !== 200 && status !== 206) || got === undefined)
    throw wrong(`status ${status} without a usable Content-Range`);
  // A coding added on the way changes the length; a blob stored with one keeps it.
  if (got.totalBytes !== object.sizeBytes)
    throw 'content-encoding' in headers ? wrong('another length, encoded') : changed('another size');
  if (got.from !== range.from || got.to !== range.to) throw wrong('another range');
  if (length !== rangeLength(range)) throw wrong('another Content-Length');
}
