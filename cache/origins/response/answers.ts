/** Heads and errors, the same for every kind of origin. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

/** `etag` is strong and unquoted, in the engine's form; undefined if the origin has none. */
export function objectHead(
  headers: ResponseHeaders,
  etag: string | undefined,
  representation: Readonly<Record<string, string>>,
  name: string,
): ObjectHead {
  if (etag === undefined) throw new OrcaError('origin_missing_etag', `the origin sends no strong ETag for ${name}`);
  const length = headers['content-length'] ?? '';
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
    throw new OrcaError('origin_unavailable', `the origin sends no length for ${name}`);
  const lastModifiedMs = Date.parse(headers['last-modified'] ?? '');
  return {
    etag,
    sizeBytes: Number(length),
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? 0 : lastModifiedMs,
    headers: representation,
  };
}

/** Converts anything that a call threw to an OrcaError: without a response the origin is unavailable. */
export function toOrcaError(error: unknown, name: string): OrcaError {
  if (error instanceof OrcaError && error.code !== 'internal') return error;
  if (error instanceof OrcaError) return new OrcaError('origin_denied', error.message, { cause: error });
  return new OrcaError('origin_unavailable', `the origin did not answer for ${name}`, { cause: error });
}
