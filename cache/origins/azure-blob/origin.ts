/**
 * The Origin port over Azure Blob Storage: block blobs as S3 objects. Azure's own conditions differ from HTTP's, so only
 * the pin (`If-Match`) is ever sent. Nothing is retried here; an answer counts only if it is exactly what was asked for.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectHead, ObjectVersion } from '#cache/core/object.ts';
import type { CallOptions, Origin } from '#cache/engine/ports.ts';
import { accept, UnknownCoding } from '#cache/origins/response/accept.ts';
import { openCodings } from '#cache/origins/response/codings.ts';
import { isDirectory, s3Headers } from './headers.ts';
import { asAzureEtag, openAzureClient, s3EtagOf, type AzureClientOptions } from '#cache/wire/azure/client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { objectHead, toOrcaError } from '#cache/origins/response/answers.ts';
import { errorFor } from './errors.ts';
import { openAzureList } from './list.ts';

/** One origin attempt waits so long for its first byte; the engine's retry budget is built on it. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A part that makes no progress for so long while we want bytes is taken up on another connection. */
const STALL_TIMEOUT_MS = 10_000;

export function openAzureOrigin(options: AzureClientOptions): Origin {
  const client = openAzureClient(options);
  const lists = openAzureList(client);
  const codings = openCodings();
  const limits = (call: CallOptions): CallOptions => ({
    firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    ...call,
  });
  const where = (bucket: string, key: string): string => `${bucket}/${key}`;

  const lookUp = async (bucket: string, key: string, call: CallOptions): Promise<ObjectHead> => {
    const response = await client.send({ method: 'HEAD', container: bucket, blob: key }, limits(call));
    if (response.status !== 200) throw errorFor(response, bucket, key);
    const head = headOf(response.headers, where(bucket, key));
    // Most blobs have none: an answer that has one is what makes us ask.
    if ('content-encoding' in response.headers) codings.learn({ bucket, key, etag: head.etag }, response.headers);
    return head;
  };
  const learnCoding = async (object: ObjectVersion, call: CallOptions): Promise<void> => {
    const { bucket, key } = object;
    const { etag, headers } = await lookUp(bucket, key, call);
    if (etag !== object.etag) throw new OrcaError('object_changed', `${where(bucket, key)} has changed: another ETag`);
    codings.learn(object, headers);
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
        if (status < 200 || status >= 300) return;
        checkType(answer, where(bucket, key));
        accept({ status, headers: answer, etag: s3EtagOf(answer) }, object, range, codings);
      };
      const request = { method: 'GET', container: bucket, blob: key, headers, sink, onHead } as const;
      const get = () => client.send(request, limits(call));
      try {
        const response = await get().catch(async (error: unknown) => {
          if (!(error instanceof UnknownCoding)) throw error;
          await learnCoding(object, call);
          return get();
        });
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
      return { range: { from: 0, to: object.sizeBytes }, count: undefined };
    },
    // Accounts of S3 are unknown here: a bucket can't be another's.
    async checkOwner() {},
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
  return objectHead(headers, s3EtagOf(headers), s3Headers(headers), name);
}

/** Append blobs grow and page blobs are written in place, under readers that have begun. */
function checkType(headers: ResponseHeaders, name: string): void {
  const type = headers['x-ms-blob-type'] ?? 'BlockBlob';
  if (type !== 'BlockBlob') throw new OrcaError('origin_unsupported', `${name} is of type ${type} at the origin`);
}
