/** What the origins' answers have in common, whatever they speak. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

/** `etag` is strong and unquoted, in the engine's form; undefined where the origin has none. */
export function objectHead(
  headers: ResponseHeaders,
  etag: string | undefined,
  representation: Readonly<Record<string, string>>,
  name: string,
): ObjectHead {
  if (etag === undefined) throw new OrcaError('origin_missing_etag', `the origin gives ${name} no strong ETag`);
  const length = headers['content-length'] ?? '';
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
    throw new OrcaError('origin_unavailable', `the origin does not say how long ${name} is`);
  const lastModifiedMs = Date.parse(headers['last-modified'] ?? '');
  return {
    etag,
    sizeBytes: Number(length),
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? 0 : lastModifiedMs,
    headers: representation,
  };
}

/** Anything thrown on the way as the engine's word: what is no answer is an origin that can't be reached. */
export function toOrcaError(error: unknown, name: string): OrcaError {
  if (error instanceof OrcaError && error.code !== 'internal') return error;
  if (error instanceof OrcaError) return new OrcaError('origin_denied', error.message, { cause: error });
  return new OrcaError('origin_unavailable', `the origin gave no answer for ${name}`, { cause: error });
}
