/** Sub-resources of an S3 origin: what it says is passed on, if it is what was requested. */
import { OrcaError } from '#cache/core/errors.ts';
import { encodeRfc3986 } from '#cache/core/percent.ts';
import { rootOf, type SubResource, type SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, type S3Request } from '#cache/wire/s3/client.ts';
import { errorFor } from './errors.ts';

/** A lifecycle configuration of 1000 rules, S3's limit, takes some 300 KiB; all others are far smaller. */
const MAX_DOCUMENT_BYTES = 512 * 1024;
/** Codes with status 404 for an object or a bucket that does not exist, in contrast to a document that does not. */
const OBJECT_IS_MISSING = new Set(['', 'NoSuchKey', 'NoSuchBucket', 'NoSuchVersion', 'NotFound']);

/** `key` is empty for the bucket. */
export function subResourceRequest(
  bucket: string,
  key: string,
  { name }: SubResource,
  versionId: string | undefined,
): S3Request {
  const version = versionId === undefined ? [] : [['versionId', encodeRfc3986(versionId)] as const];
  return { method: 'GET', bucket, key, query: [[name, ''], ...version], maxCollectedBytes: MAX_DOCUMENT_BYTES };
}

/** Throws the origin's refusals and outages. `what` is for messages. */
export function subResourceAnswer(
  response: RawResponse,
  { name, roots }: SubResource,
  what: string,
): SubResourceAnswer {
  const { status, body } = response;
  const notImplemented = (): OrcaError =>
    new OrcaError('not_implemented', `?${name} is not implemented by the origin`, { status });
  if (status === 200) {
    if (body.length >= MAX_DOCUMENT_BYTES)
      throw new OrcaError('origin_unsupported', `?${name} of ${what} is longer than ${MAX_DOCUMENT_BYTES} bytes`);
    const document = body.toString('utf8');
    if (!roots.includes(rootOf(document) ?? '')) throw notImplemented();
    return { document };
  }
  // Before the outages: a 501 is an answer.
  if (status === 501) throw notImplemented();
  const error = errorFor(response, what);
  const { code, message } = faultOf(body);
  if (status === 405 && error.code !== 'delete_marker') throw notImplemented();
  const isNotSet = status === 404 ? !OBJECT_IS_MISSING.has(code) : error.code === 'origin_unsupported' && code !== '';
  if (isNotSet && status >= 400 && status < 500) return { status, code, message };
  throw error;
}
