/**
 * The one error type of the cache. Drivers map what their SDK or socket says to a code here; the engine reads codes
 * only; `http/respond.ts` has one row per code. `cause` is always kept.
 */
export type ErrorCode =
  | 'bad_request' // the client's request can't be understood
  | 'invalid_uri' // its target can't
  | 'invalid_argument' // one value in it can't
  | 'key_too_long'
  | 'auth_malformed' // credentials that can't be read as any
  | 'auth_query_malformed' // the same in a presigned URL
  | 'auth_unsupported' // of a kind that is not spoken here
  | 'auth_unknown_key'
  | 'auth_mismatch' // the signature is not the key's
  | 'auth_skewed' // signed at another time
  | 'auth_token' // a session token that is not the key's
  | 'auth_payload_mismatch'
  | 'forbidden' // nobody in particular, or somebody who may not
  | 'cors_incomplete' // a preflight that says too little
  | 'cors_forbidden'
  | 'part_not_found'
  | 'access_denied' // the origin's answer for a key that it will not show (S3 without ListBucket)
  | 'bucket_not_found'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_implemented'
  | 'range_not_satisfiable'
  | 'precondition_failed'
  | 'not_modified'
  | 'object_archived' // its bytes have to be restored at the origin first
  | 'object_changed' // another ETag or size than the one pinned
  | 'origin_denied' // our own credentials are refused
  | 'origin_missing_etag'
  | 'origin_unsupported'
  | 'origin_throttled'
  | 'origin_unavailable' // timeout, 5xx, reset, an answer that is not what was asked for
  | 'store_unavailable' // fall-through: the next rung answers
  | 'chunk_missing' // the cachestore has no such chunk: fall-through
  | 'chunk_stored' // the cachestore has it by now: fall-through
  | 'chunk_bad' // the cachestore's chunk has a wrong length, ETag or CRC: fall-through
  | 'peer_unavailable' // fall-through: dead, refused, or an answer without proof
  | 'not_coordinator' // fall-through: views differ
  | 'overloaded' // memory, queue or connection limits
  | 'cancelled' // nobody waits any more; never logged as an error
  | 'internal';

export interface OrcaErrorOptions {
  readonly cause?: unknown;
  /** How long a client should wait before it asks again. */
  readonly retryAfterMs?: number;
  /** The HTTP status that the other side gave, where there was one: for logs and retry decisions. */
  readonly status?: number;
  /**
   * One word or number more than the code: the object's size (416) or the condition's name (412) for the error document,
   * what failed of a peer for the metrics.
   */
  readonly details?: string;
  /** More elements of the error document. Never a secret. */
  readonly fields?: Readonly<Record<string, string>>;
  /** How long ago the origin said so, where it is remembered. */
  readonly ageMs?: number;
}

export class OrcaError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly details: string | undefined;
  readonly fields: Readonly<Record<string, string>> | undefined;
  readonly ageMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: OrcaErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'OrcaError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
    this.details = options.details;
    this.fields = options.fields;
    this.ageMs = options.ageMs;
  }
}

/** The code of any thrown value; what is not an OrcaError is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof OrcaError ? error.code : 'internal';
}

/** Whether `error` is an OrcaError with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is OrcaError {
  return error instanceof OrcaError && codes.includes(error.code);
}

/** Any thrown value as an OrcaError; an unknown one keeps its cause under `code`. */
export function asOrcaError(error: unknown, code: ErrorCode, message: string): OrcaError {
  return error instanceof OrcaError ? error : new OrcaError(code, message, { cause: error });
}
