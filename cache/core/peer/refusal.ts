/**
 * Formats and parses error responses between replicas: the HTTP status and body of each error code. A code that is not in
 * the table is internal to the responding replica and is never sent.
 */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { isHeaderValue } from '#cache/core/object-headers.ts';

export interface Refusal {
  readonly status: number;
  /** JSON; also the `reason` in the proof of the response. */
  readonly body: string;
  /** The Retry-After header; undefined = no header. */
  readonly retryAfterSeconds: number | undefined;
}

/** Errors of the origin, and overload: the requester uses them as its own result instead of trying another source. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  object_changed: 412,
  object_archived: 502,
  object_encrypted: 502,
  not_found: 404,
  bucket_not_found: 404,
  version_not_found: 404,
  version_invalid: 400,
  delete_marker: 405,
  access_denied: 502,
  origin_denied: 502,
  origin_missing_etag: 502,
  origin_unsupported: 502,
  origin_wrong_region: 502,
  origin_unavailable: 502,
  origin_throttled: 503,
  overloaded: 503,
};
/** The longest Retry-After that is accepted from another replica. */
const MAX_RETRY_AFTER_SECONDS = 600;
const MAX_MESSAGE_LENGTH = 500;
/** The headers of errors that clients get: those of a delete marker. */
const HEADERS = new Set(['allow', 'last-modified', 'x-amz-delete-marker', 'x-amz-version-id']);

/** Undefined for an internal error, which gets a plain 500. */
export function refusalOf(error: OrcaError): Refusal | undefined {
  const status = STATUS[error.code];
  if (status === undefined) return undefined;
  const { code, ageMs, headers, fields } = error;
  const message = error.message.slice(0, MAX_MESSAGE_LENGTH);
  const seconds = error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs / 1000);
  return {
    status,
    body: JSON.stringify({ reason: code, code, message, ageMs, headers, region: fields?.['Region'] }),
    retryAfterSeconds: status === 503 ? (seconds ?? 1) : seconds,
  };
}

/** `peer` is used in the error message. Undefined if status and body do not match the table. */
export function parseRefusal(
  peer: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
): OrcaError | undefined {
  const fields = parseObject(body);
  const code = fields?.['code'] ?? fields?.['reason'];
  if (typeof code !== 'string' || !isShared(code) || STATUS[code] !== status) return undefined;
  const seconds = /^\d{1,6}$/.test(retryAfter ?? '')
    ? Math.min(Number(retryAfter), MAX_RETRY_AFTER_SECONDS)
    : undefined;
  const message = typeof fields?.['message'] === 'string' ? fields['message'].slice(0, MAX_MESSAGE_LENGTH) : code;
  const ageMs = fields?.['ageMs'];
  return new OrcaError(code, `${peer}: ${message}`, {
    ...(seconds !== undefined && { retryAfterMs: seconds * 1000 }),
    ...(typeof ageMs === 'number' && ageMs >= 0 && { ageMs }),
    ...headersOf(fields?.['headers']),
    ...(code === 'origin_wrong_region' && regionOf(fields?.['region'])),
  });
}

export interface NotCoordinator {
  readonly owner: string | undefined;
  readonly epoch: string;
}

export function formatNotCoordinator(answer: NotCoordinator): string {
  return JSON.stringify({ reason: 'not_coordinator', owner: answer.owner, epoch: answer.epoch });
}

export function parseNotCoordinator(body: string): NotCoordinator | undefined {
  const fields = parseObject(body);
  if (fields?.['reason'] !== 'not_coordinator') return undefined;
  const { owner, epoch } = fields;
  return { owner: typeof owner === 'string' ? owner : undefined, epoch: typeof epoch === 'string' ? epoch : '' };
}

/** A replica of another release may send others. */
function headersOf(value: unknown): { readonly headers?: Record<string, string> } {
  if (typeof value !== 'object' || value === null) return {};
  const known = Object.entries(value as Record<string, unknown>).filter(
    (entry): entry is [string, string] =>
      HEADERS.has(entry[0]) && typeof entry[1] === 'string' && isHeaderValue(entry[1]),
  );
  return known.length === 0 ? {} : { headers: Object.fromEntries(known) };
}

function regionOf(value: unknown): { readonly fields?: Record<string, string> } {
  return typeof value === 'string' && /^[\w-]{1,63}$/.test(value) ? { fields: { Region: value } } : {};
}

function isShared(code: string): code is ErrorCode {
  return Object.hasOwn(STATUS, code);
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
