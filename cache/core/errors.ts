/**
 * The one error type of the cache. Drivers map the errors of their store or socket to a code; the engine decides by code
 * only, and `cache/http/respond.ts` maps each code to an S3 error response. A `cause` is always kept.
 * docs/reference/errors.md lists the codes with status, cause and remedy; a test compares the two.
 */
export type ErrorCode =
  // The request; thrown by the edge listener and the S3 protocol unless noted.

  /** The request contradicts itself, or its key cannot be read safely. The engine throws it for NUL and `..` in keys. */
  | 'bad_request'
  /** The request target is not a path, not an http URL, or not percent-encoded UTF-8. */
  | 'invalid_uri'
  /** One parameter or header has an unusable value; the error document names it. */
  | 'invalid_argument'
  /** The key exceeds 1024 bytes. Thrown by the engine. */
  | 'key_too_long'
  /** The `Authorization` header cannot be parsed. Thrown by the signature check, as are the other `auth_*` codes. */
  | 'auth_malformed'
  /** A presigned URL lacks a signature parameter, or one of them is malformed. */
  | 'auth_query_malformed'
  /** The signature is older than version 4. */
  | 'auth_unsupported'
  /** The access key is not in `keys.yaml`. */
  | 'auth_unknown_key'
  /** The signature does not match the request. */
  | 'auth_mismatch'
  /** The request was signed more than 15 minutes ago or ahead. */
  | 'auth_skewed'
  /** The session token is not the one of the key. */
  | 'auth_token'
  /** The signed hash is not that of an empty body. */
  | 'auth_payload_mismatch'
  /** Credentials are missing, expired or incomplete, or do not allow this bucket or prefix. */
  | 'forbidden'
  /** A CORS preflight request lacks a header that it must have. */
  | 'cors_incomplete'
  /** The web origin or method of a CORS preflight request is not allowed. */
  | 'cors_forbidden'
  /** The object has no such part. Thrown by origin drivers and the engine. */
  | 'part_not_found'
  /** The method is not one of a read-only cache. */
  | 'method_not_allowed'
  /** A sub-resource that the cache does not serve, or a part number that the origin cannot locate. */
  | 'not_implemented'
  /** `Cache-Control: only-if-cached`, and the object or the range is not cached. Thrown by the engine. */
  | 'not_cached'
  /** The requested range starts after the end of the object. Thrown by the engine. */
  | 'range_not_satisfiable'
  /** `If-Match` or `If-Unmodified-Since` does not hold. Thrown by the engine. */
  | 'precondition_failed'
  /** `If-None-Match` or `If-Modified-Since` does not hold: the client has this version. Thrown by the engine. */
  | 'not_modified'

  // The object and the origin; thrown by origin drivers unless noted.

  /** The bucket is not configured (thrown by the edge and the engine), or the origin has no such bucket. */
  | 'bucket_not_found'
  /** The origin has no such object. */
  | 'not_found'
  /** The origin does not show this key to the cache; S3 does so for missing keys without ListBucket. */
  | 'access_denied'
  /** The origin has no version of that ID. */
  | 'version_not_found'
  /** The version ID is not one that the origin could have assigned. Thrown by the edge listener too. */
  | 'version_invalid'
  /** The version of that ID marks a deletion: there is nothing to read. */
  | 'delete_marker'
  /** The object is in an archive tier and must be restored at the origin first. */
  | 'object_archived'
  /** The object is encrypted with a key that only the client has (SSE-C). */
  | 'object_encrypted'
  /** The origin has another ETag or size than the version being read. */
  | 'object_changed'
  /** The origin rejects the cache's own credentials. */
  | 'origin_denied'
  /** The origin gives the object no strong ETag. */
  | 'origin_missing_etag'
  /** The bucket is in another region than the one that the cache is configured for; `fields.Region` names it. */
  | 'origin_wrong_region'
  /** A kind of object or response that cannot be cached, such as a page blob or a redirect to another host. */
  | 'origin_unsupported'
  /** The origin asks for fewer requests. */
  | 'origin_throttled'
  /** Timeout, 5xx, closed connection, or a response that does not match the request. The circuit breaker throws it too. */
  | 'origin_unavailable'

  // Failures of one source of a chunk: the read continues with the next source.

  /** The cachestore failed or did not respond. Thrown by store drivers and the circuit breaker. */
  | 'store_unavailable'
  /** The cachestore does not have the chunk (thrown by store drivers), or it was evicted from memory meanwhile. */
  | 'chunk_missing'
  /** Another replica committed the chunk while the fill waited for a slot at the origin. Thrown by fills. */
  | 'chunk_stored'
  /** The stored chunk has a wrong length, ETag or CRC, or is another chunk. Thrown by store drivers and block checks. */
  | 'chunk_bad'
  /** Another replica is down, rejected the request, or did not prove its response. Thrown by the peer client. */
  | 'peer_unavailable'
  /** The replicas disagree about membership or protocol version. Thrown by the peer listener. */
  | 'not_coordinator'

  // The cache itself.

  /** A limit of memory, origin requests or streams was reached, and waiting took too long. Thrown by the engine. */
  | 'overloaded'
  /** The caller no longer waits for the result. Never logged as an error. */
  | 'cancelled'
  /** Any error without a code: a bug. */
  | 'internal';

export interface OrcaErrorOptions {
  readonly cause?: unknown;
  /** How long a client should wait before a retry. */
  readonly retryAfterMs?: number;
  /** The HTTP status of the upstream response, if there was one: for logs and retry decisions. */
  readonly status?: number;
  /**
   * One detail: the object's size (416) or the header's name (412) for the error document, or the kind of peer failure
   * for metrics.
   */
  readonly details?: string;
  /** Further elements of the error document. Never a secret. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Headers of the response to clients, by lower-case name: those that S3 sends with this error. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The time since the origin reported the error, if it is a cached one. */
  readonly ageMs?: number;
}

export class OrcaError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly details: string | undefined;
  readonly fields: Readonly<Record<string, string>> | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly ageMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: OrcaErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'OrcaError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
    this.details = options.details;
    this.fields = options.fields;
    this.headers = options.headers;
    this.ageMs = options.ageMs;
  }
}

/** The code of any thrown value; `internal` if it is not an OrcaError. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof OrcaError ? error.code : 'internal';
}

/** Whether `error` is an OrcaError with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is OrcaError {
  return error instanceof OrcaError && codes.includes(error.code);
}

/** Returns an OrcaError unchanged; wraps any other thrown value with `code` and keeps it as the cause. */
export function asOrcaError(error: unknown, code: ErrorCode, message: string): OrcaError {
  return error instanceof OrcaError ? error : new OrcaError(code, message, { cause: error });
}
