/** Maps the error responses of an HTTP server to error codes. Pure. */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { retryAfterMs } from '#cache/wire/s3/client.ts';

/** The wait for a server that throttles without a Retry-After. */
const DEFAULT_RETRY_AFTER_MS = 1_000;
/** How object stores reject a signed URL: most with 403, Google's with 400 once it has expired. */
const REJECTED_URL = new Set([400, 401, 403]);

/** `isForeign`: the response of another host, to which the origin had redirected. */
export function errorFor({ status, headers }: RawResponse, name: string, isForeign: boolean): OrcaError {
  const waitMs = retryAfterMs(headers);
  const reason = reasonIn(headers['x-error-code']);
  const make = (code: ErrorCode, text: string): OrcaError => new OrcaError(code, text, { status });
  if (status === 429 || (status === 503 && waitMs !== undefined))
    return new OrcaError('origin_throttled', `the origin throttles requests for ${name}`, {
      status,
      retryAfterMs: waitMs ?? DEFAULT_RETRY_AFTER_MS,
    });
  if (status === 404 || status === 410) return make('not_found', `the origin has no ${name}`);
  if (status === 412 || status === 416) return make('object_changed', `${name} has changed at the origin`);
  // Signed URLs expire. A retry begins at the origin, which signs a new one.
  if (isForeign && REJECTED_URL.has(status))
    return make('origin_unavailable', `the host that serves ${name} for the origin rejects its redirect (${status})`);
  if (status === 401 || status === 403)
    return make('origin_denied', `the origin denies access to ${name} (${status}${reason})`);
  if (status === 405 || status === 501)
    return make('origin_unsupported', `the origin supports neither HEAD nor ranged GET of ${name} (${status})`);
  if (status >= 500 || status === 408 || status === 425)
    return make('origin_unavailable', `the origin answers ${status}${reason} for ${name}`);
  return make('origin_unsupported', `the origin answers ${status}${reason} for ${name}`);
}

/** Hugging Face hubs distinguish a gated repository from a missing one only by this code. */
function reasonIn(code: string | undefined): string {
  return code !== undefined && /^[A-Za-z]{1,40}$/.test(code) ? ` ${code}` : '';
}
