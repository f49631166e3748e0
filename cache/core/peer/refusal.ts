/**
 * A coordinator's "no" as an answer, both ways: which statuses and bodies carry which codes between replicas. A code that
 * is not in the table never crosses: it is the answerer's own trouble.
 */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';

export interface Refusal {
  readonly status: number;
  /** JSON, and the `reason` of the answer's proof. */
  readonly body: string;
  /** For Retry-After; undefined = no such header. */
  readonly retryAfterSeconds: number | undefined;
}

/** What the coordinator learned of the origin or of itself, worth more to the asker than asking again. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  object_changed: 412,
  object_archived: 502,
  not_found: 404,
  bucket_not_found: 404,
  access_denied: 502,
  origin_denied: 502,
  origin_missing_etag: 502,
  origin_unsupported: 502,
  origin_unavailable: 502,
  origin_throttled: 503,
  overloaded: 503,
};
/** Longer than any Retry-After that is meant. */
const MAX_RETRY_AFTER_SECONDS = 600;
const MAX_MESSAGE_LENGTH = 500;

/** Undefined for an error that is not the asker's business: answer 500. */
export function refusalOf(error: OrcaError): Refusal | undefined {
  const status = STATUS[error.code];
  if (status === undefined) return undefined;
  const { code, ageMs } = error;
  const seconds = error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs / 1000);
  return {
    status,
    body: JSON.stringify({ reason: code, code, message: error.message.slice(0, MAX_MESSAGE_LENGTH), ageMs }),
    retryAfterSeconds: status === 503 ? (seconds ?? 1) : seconds,
  };
}

/** `who` names the peer. Undefined where status and body are not a pair of the table. */
export function parseRefusal(
  who: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
): OrcaError | undefined {
  const said = parseObject(body);
  const code = said?.['code'] ?? said?.['reason'];
  if (typeof code !== 'string' || !isShared(code) || STATUS[code] !== status) return undefined;
  const seconds = /^\d{1,6}$/.test(retryAfter ?? '')
    ? Math.min(Number(retryAfter), MAX_RETRY_AFTER_SECONDS)
    : undefined;
  const message = typeof said?.['message'] === 'string' ? said['message'].slice(0, MAX_MESSAGE_LENGTH) : code;
  const ageMs = said?.['ageMs'];
  return new OrcaError(code, `${who} says: ${message}`, {
    ...(seconds !== undefined && { retryAfterMs: seconds * 1000 }),
    ...(typeof ageMs === 'number' && ageMs >= 0 && { ageMs }),
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
  const said = parseObject(body);
  if (said?.['reason'] !== 'not_coordinator') return undefined;
  const { owner, epoch } = said;
  return { owner: typeof owner === 'string' ? owner : undefined, epoch: typeof epoch === 'string' ? epoch : '' };
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
