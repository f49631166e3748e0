/**
 * The Origin port over S3: what S3 answers, as the engine's words. Nothing is retried here; an answer counts only if it
 * is exactly what was asked for.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import type { CallOptions, Origin } from '#cache/engine/ports.ts';
import { accept, UnknownCoding } from '#cache/origins/response/accept.ts';
import { openCodings } from '#cache/origins/response/codings.ts';
import { representationHeaders } from '#cache/origins/response/representation.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange, openS3Client, strongEtag, type S3ClientOptions } from '#cache/wire/s3/client.ts';
import { objectHead, toOrcaError } from '#cache/origins/response/answers.ts';
import { errorFor } from './errors.ts';
import { openS3List } from './list.ts';

/** One origin attempt waits so long for its first byte; the engine's retry budget is built on it. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A part that makes no progress for so long while we want bytes is taken up on another connection. */
const STALL_TIMEOUT_MS = 10_000;
/** So long a bucket that answered is not asked again whether it exists when a key in it does not. */
const BUCKET_KNOWN_MS = 60_000;

/** S3 tells an object's checksums to those who ask. */
const WITH_CHECKSUM = { 'x-amz-checksum-mode': 'ENABLED' };

export function openS3Origin(options: S3ClientOptions): Origin {
  const client = openS3Client(options);
  const lists = openS3List(options);
  const codings = openCodings();
  const bucketSeenMs = new Map<string, number>();
  const limits = (call: CallOptions): CallOptions => ({
    firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    ...call,
  });
  const seen = (bucket: string): void => {
    bucketSeenMs.set(bucket, performance.now());
  };
  const where = (bucket: string, key: string): string => `${bucket}/${key}`;

  /** A HEAD has no body: the same key, one byte of it, tells the Code. */
  const explain = async (bucket: string, key: string, call: CallOptions, status: number): Promise<OrcaError> => {
    const response = await client.send({ method: 'GET', bucket, key, headers: { range: 'bytes=0-0' } }, call);
    if (response.status >= 400 && response.status !== 416) return errorFor(response, where(bucket, key));
    return new OrcaError(
      'origin_unavailable',
      `the origin answers HEAD of ${where(bucket, key)} with ${status}, but not GET`,
      {
        status,
      },
    );
  };

  const learnCoding = async (object: ObjectVersion, call: CallOptions): Promise<void> => {
    const { bucket, key } = object;
    const response = await client.send({ method: 'HEAD', bucket, key }, limits(call));
    if (response.status !== 200) throw errorFor(response, where(bucket, key));
    if (strongEtag(response.headers) !== object.etag)
      throw new OrcaError('object_changed', `${where(bucket, key)} has changed: another ETag`);
    codings.learn(object, response.headers);
  };

  return {
    async head(bucket, key, call) {
      try {
        const response = await client.send({ method: 'HEAD', bucket, key, headers: WITH_CHECKSUM }, limits(call));
        if (response.status === 200) {
          seen(bucket);
          const head = objectHead(
            response.headers,
            strongEtag(response.headers),
            representationHeaders(response.headers),
            where(bucket, key),
          );
          // Most objects have none: an answer that has one is what makes us ask.
          if ('content-encoding' in response.headers) codings.learn({ bucket, key, etag: head.etag }, response.headers);
          return head;
        }
        const knownBucket = performance.now() - (bucketSeenMs.get(bucket) ?? -Infinity) < BUCKET_KNOWN_MS;
        const unclear = response.status === 400 || response.status === 403 || (response.status === 404 && !knownBucket);
        throw unclear
          ? await explain(bucket, key, limits(call), response.status)
          : errorFor(response, where(bucket, key));
      } catch (error) {
        const known = toOrcaError(error, where(bucket, key));
        if (known.code === 'not_found') seen(bucket);
        throw known;
      }
    },
    async read(object, range, sink, call) {
      const name = where(object.bucket, object.key);
      const headers = { range: `bytes=${range.from}-${range.to - 1}`, 'if-match': `"${object.etag}"` };
      const onHead = (status: number, answer: ResponseHeaders): void => {
        if (status >= 200 && status < 300)
          accept({ status, headers: answer, etag: strongEtag(answer) }, object, range, codings);
      };
      const request = { method: 'GET', bucket: object.bucket, key: object.key, headers, sink, onHead } as const;
      const get = () => client.send(request, limits(call));
      try {
        const response = await get().catch(async (error: unknown) => {
          if (!(error instanceof UnknownCoding)) throw error;
          await learnCoding(object, call);
          return get();
        });
        if (response.status >= 300) throw errorFor(response, name);
      } catch (error) {
        throw toOrcaError(error, name);
      }
    },
    async part(object, part, call) {
      const name = where(object.bucket, object.key);
      try {
        const { bucket, key, etag } = object;
        const query = [['partNumber', String(part)]] as const;
        const response = await client.send(
          { method: 'HEAD', bucket, key, query, headers: { 'if-match': `"${etag}"` } },
          limits(call),
        );
        if (response.status === 416) throw new OrcaError('part_not_found', `${name} has no part ${part}`);
        if (response.status >= 300) throw errorFor(response, name);
        return partOf(response.headers, object, part);
      } catch (error) {
        throw toOrcaError(error, name);
      }
    },
    async checkOwner(bucket, key, owner, call) {
      const name = where(bucket, key);
      try {
        const headers = { 'x-amz-expected-bucket-owner': owner };
        const response = await client.send({ method: 'HEAD', bucket, key, headers }, limits(call));
        // Who is told that something is not there was let in.
        if (response.status < 300 || response.status === 404) return;
        if (response.status === 400) throw new OrcaError('invalid_argument', `the origin knows no account ${owner}`);
        // A HEAD has no body that would tell this from credentials that are refused: those fail elsewhere too.
        if (response.status === 403) throw new OrcaError('access_denied', `${name} is not shown as ${owner}'s`);
        throw errorFor(response, name);
      } catch (error) {
        throw toOrcaError(error, name);
      }
    },
    async probe(bucket, prefix, call) {
      const key = `${prefix}_orca-probe`;
      try {
        const response = await client.send(
          { method: 'GET', bucket, key, headers: { range: 'bytes=0-0' } },
          limits(call),
        );
        if (response.status < 300 || response.status === 416) return 'reachable';
        const error = errorFor(response, where(bucket, key));
        if (error.code === 'not_found') return 'reachable';
        if (error.code === 'access_denied') return 'list_denied';
        throw error;
      } catch (error) {
        throw toOrcaError(error, where(bucket, key));
      }
    },
    list: (bucket, query, call) => lists.list(bucket, query, call),
    async close() {
      client.close();
      lists.close();
    },
  };
}

function partOf(headers: ResponseHeaders, object: ObjectVersion, part: number): ObjectPart {
  const name = `${object.bucket}/${object.key}`;
  if (strongEtag(headers) !== object.etag) throw new OrcaError('object_changed', `${name} has changed: another ETag`);
  const count = /^[1-9]\d{0,4}$/.exec(headers['x-amz-mp-parts-count'] ?? '')?.[0];
  const counted = { count: count === undefined ? undefined : Number(count) };
  // Nothing can be said of a range of an empty object, which has one part.
  if (object.sizeBytes === 0) return { range: { from: 0, to: 0 }, ...counted };
  const range = contentRange(headers);
  if (range === undefined)
    throw new OrcaError('not_implemented', `the origin does not say where part ${part} of ${name} is`);
  if (range.totalBytes !== object.sizeBytes || range.to > object.sizeBytes || range.from >= range.to)
    throw new OrcaError('origin_unavailable', `part ${part} of ${name} lies outside of it, says the origin`);
  return { range: { from: range.from, to: range.to }, ...counted };
}
