/** Checks the response to a ranged read of one version: it counts only if it promises exactly the requested bytes. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { rangeLength, type ByteRange, type ObjectVersion } from '#cache/core/object.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';
import type { Codings } from './codings.ts';

export interface Answer {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Strong and unquoted, in the engine's form; undefined without one. */
  readonly etag: string | undefined;
}

/** Throws unless the head promises exactly the requested bytes. */
export function accept(
  { status, headers, etag }: Answer,
  object: ObjectVersion,
  range: ByteRange,
  codings: Codings,
): void {
  const name = `${object.bucket}/${object.key}`;
  const wrong = (what: string): OrcaError =>
    new OrcaError('origin_unavailable', `the origin's response for ${name} does not match the request: ${what}`, {
      status,
    });
  const changed = (what: string): OrcaError =>
    new OrcaError('object_changed', `${name} has changed: ${what}`, { status });

  if (etag === undefined) throw wrong('no strong ETag');
  if (etag !== object.etag) throw changed('another ETag');
  // The client takes a chunked body only if it has the requested length.
  const isChunked = 'transfer-encoding' in headers && !('content-length' in headers);
  const length = isChunked ? rangeLength(range) : Number(headers['content-length']);
  const wholeBytes = isChunked ? object.sizeBytes : length;
  const whole = { from: 0, to: wholeBytes, totalBytes: wholeBytes };
  const got = status === 200 ? whole : contentRange(headers);
  if ((status !== 200 && status !== 206) || got === undefined)
    throw wrong(`status ${status} without a usable Content-Range`);
  // A coding that a proxy adds changes the length; the coding that an object is stored with does not.
  if (got.totalBytes !== object.sizeBytes)
    throw 'content-encoding' in headers ? wrong('another length, encoded') : changed('another size');
  if (got.from !== range.from || got.to !== range.to)
    throw wrong(status === 200 ? 'the whole object instead of a range' : 'another range');
  if (length !== rangeLength(range)) throw wrong('another Content-Length');
  const coding = codings.judge(object, headers);
  if (coding === 'other') throw wrong('another content coding');
  if (coding === 'unknown') throw new UnknownCoding();
}

/** A correct response with a content coding, when the coding of the object has not been recorded yet. */
export class UnknownCoding extends Error {}

/** Sends a read. If the coding of its answer is unknown, `learn` finds out the object's own, and the read is sent again. */
export async function retryWithCoding<T>(send: () => Promise<T>, learn: () => Promise<void>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof UnknownCoding)) throw error;
    await learn();
    return send();
  }
}
