/** The table from error codes to S3 error responses, and the only place that sends them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asOrcaError, type ErrorCode, type OrcaError } from '#cache/core/errors.ts';
import { errorDocument } from '#cache/core/s3/xml.ts';
import type { LogLevel } from '#shared/log.ts';

interface Row {
  readonly status: number;
  /** S3's code if there is one, so that SDKs handle it. */
  readonly s3: string;
  readonly log: LogLevel;
  /** In seconds; a value in the error takes precedence. */
  readonly retryAfterS?: number;
  /** The message for clients; undefined = that of the error, which contains no internals. */
  readonly message?: string;
}

const HTTP = {
  bad_request: { status: 400, s3: 'InvalidRequest', log: 'debug' },
  invalid_uri: { status: 400, s3: 'InvalidURI', log: 'debug', message: "Couldn't parse the specified URI." },
  invalid_argument: { status: 400, s3: 'InvalidArgument', log: 'debug' },
  key_too_long: { status: 400, s3: 'KeyTooLongError', log: 'debug', message: 'Your key is too long' },
  auth_malformed: { status: 400, s3: 'AuthorizationHeaderMalformed', log: 'debug' },
  auth_query_malformed: { status: 400, s3: 'AuthorizationQueryParametersError', log: 'debug' },
  auth_unsupported: { status: 400, s3: 'InvalidRequest', log: 'debug' },
  auth_unknown_key: {
    status: 403,
    s3: 'InvalidAccessKeyId',
    log: 'info',
    message: 'The AWS Access Key Id you provided does not exist in our records.',
  },
  auth_mismatch: {
    status: 403,
    s3: 'SignatureDoesNotMatch',
    log: 'info',
    message: 'The request signature we calculated does not match the signature you provided.',
  },
  auth_skewed: {
    status: 403,
    s3: 'RequestTimeTooSkewed',
    log: 'info',
    message: 'The difference between the request time and the current time is too large.',
  },
  auth_token: { status: 400, s3: 'InvalidToken', log: 'info' },
  auth_payload_mismatch: { status: 400, s3: 'XAmzContentSHA256Mismatch', log: 'debug' },
  forbidden: { status: 403, s3: 'AccessDenied', log: 'info' },
  cors_incomplete: { status: 400, s3: 'BadRequest', log: 'debug' },
  cors_forbidden: { status: 403, s3: 'AccessForbidden', log: 'debug' },
  part_not_found: {
    status: 416,
    s3: 'InvalidPartNumber',
    log: 'debug',
    message: 'The requested partnumber is not satisfiable',
  },
  access_denied: { status: 403, s3: 'AccessDenied', log: 'debug', message: 'Access Denied' },
  bucket_not_found: { status: 404, s3: 'NoSuchBucket', log: 'debug', message: 'The specified bucket does not exist.' },
  not_found: { status: 404, s3: 'NoSuchKey', log: 'debug', message: 'The specified key does not exist.' },
  version_not_found: {
    status: 404,
    s3: 'NoSuchVersion',
    log: 'debug',
    message: 'The specified version does not exist.',
  },
  version_invalid: { status: 400, s3: 'InvalidArgument', log: 'debug', message: 'Invalid version id specified' },
  delete_marker: {
    status: 405,
    s3: 'MethodNotAllowed',
    log: 'debug',
    message: 'The specified method is not allowed against this resource.',
  },
  method_not_allowed: {
    status: 405,
    s3: 'MethodNotAllowed',
    log: 'debug',
    message: 'The specified method is not allowed against this resource: this cache is read-only.',
  },
  not_implemented: { status: 501, s3: 'NotImplemented', log: 'debug' },
  not_cached: { status: 504, s3: 'GatewayTimeout', log: 'debug' },
  range_not_satisfiable: {
    status: 416,
    s3: 'InvalidRange',
    log: 'debug',
    message: 'The requested range is not satisfiable',
  },
  precondition_failed: {
    status: 412,
    s3: 'PreconditionFailed',
    log: 'debug',
    message: 'At least one of the pre-conditions you specified did not hold',
  },
  not_modified: { status: 304, s3: 'NotModified', log: 'debug' },
  object_archived: {
    status: 403,
    s3: 'InvalidObjectState',
    log: 'debug',
    message: "The operation is not valid for the object's storage class",
  },
  object_encrypted: {
    status: 400,
    s3: 'InvalidRequest',
    log: 'debug',
    message:
      'The object is encrypted with a customer-provided key (SSE-C), which this cache does not support. ' +
      'Read it from the origin with its key.',
  },
  object_changed: {
    status: 503,
    s3: 'OriginETagChanged',
    log: 'warn',
    retryAfterS: 1,
    message: 'The object changed at the origin while it was read; try again.',
  },
  origin_denied: {
    status: 502,
    s3: 'OriginUnauthorized',
    log: 'error',
    message: 'The origin refuses the credentials of this cache.',
  },
  origin_missing_etag: {
    status: 502,
    s3: 'OriginMissingETag',
    log: 'warn',
    message: 'The origin sends no strong ETag for this object, so it cannot be cached.',
  },
  origin_wrong_region: {
    status: 502,
    s3: 'OriginWrongRegion',
    log: 'error',
    message: 'The bucket is in another region than the one that this cache is configured for.',
  },
  origin_unsupported: {
    status: 502,
    s3: 'OriginUnsupported',
    log: 'warn',
    message: 'Objects of this kind cannot be cached.',
  },
  origin_throttled: {
    status: 503,
    s3: 'SlowDown',
    log: 'warn',
    retryAfterS: 1,
    message: 'The origin is throttling requests; try again.',
  },
  origin_unavailable: {
    status: 503,
    s3: 'ServiceUnavailable',
    log: 'warn',
    retryAfterS: 5,
    message: 'The origin does not respond; try again.',
  },
  store_unavailable: { status: 503, s3: 'ServiceUnavailable', log: 'error', retryAfterS: 5 },
  chunk_missing: { status: 500, s3: 'InternalError', log: 'error' },
  chunk_stored: { status: 500, s3: 'InternalError', log: 'error' },
  chunk_bad: { status: 500, s3: 'InternalError', log: 'error' },
  peer_unavailable: { status: 500, s3: 'InternalError', log: 'error' },
  not_coordinator: { status: 500, s3: 'InternalError', log: 'error' },
  overloaded: {
    status: 503,
    s3: 'SlowDown',
    log: 'info',
    retryAfterS: 1,
    message: 'Please reduce your request rate.',
  },
  cancelled: { status: 499, s3: 'ClientClosedRequest', log: 'debug' },
  internal: { status: 500, s3: 'InternalError', log: 'error' },
} as const satisfies Record<ErrorCode, Row>;

/** The message for internal errors: clients learn no details. */
const INTERNAL_MESSAGE = 'We encountered an internal error. Please try again.';

export function rowFor(error: OrcaError): Row {
  return HTTP[error.code];
}

/** What an error document names besides the error. */
export interface ErrorContext {
  readonly requestId: string;
  readonly bucket: string;
  readonly key: string;
  /** As requested; undefined = the current version. */
  readonly versionId?: string | undefined;
}

/**
 * Sends the error's response, and returns its status. If the status line has already been sent, it closes the
 * connection instead: a short body must never end cleanly.
 */
export function respondError(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  context: ErrorContext,
): number {
  const error = asOrcaError(thrown, 'internal', 'unexpected');
  if (response.headersSent) {
    response.destroy();
    return response.statusCode;
  }
  const row = rowFor(error);
  const retryAfterS =
    error.retryAfterMs === undefined ? row.retryAfterS : Math.max(1, Math.ceil(error.retryAfterMs / 1000));
  if (retryAfterS !== undefined) response.setHeader('Retry-After', retryAfterS);
  if (error.code === 'method_not_allowed') response.setHeader('Allow', 'GET, HEAD');
  for (const [name, value] of Object.entries(error.headers ?? {})) response.setHeader(name, value);
  const { details } = error;
  const isRange = error.code === 'range_not_satisfiable';
  if (isRange && details !== undefined) response.setHeader('Content-Range', `bytes */${details}`);
  // An unread request body must not be taken for the next request.
  if (hasBody(request)) response.setHeader('Connection', 'close');
  const range = request.headers.range;
  const body = errorDocument({
    Code: row.s3,
    Message: row.message ?? (row.status === 500 ? INTERNAL_MESSAGE : error.message),
    Key: context.key === '' ? undefined : context.key,
    BucketName: context.bucket === '' ? undefined : context.bucket,
    Condition: error.code === 'precondition_failed' ? details : undefined,
    RangeRequested: isRange ? range : undefined,
    ActualObjectSize: isRange ? details : undefined,
    ...versionFields(error, request, context),
    ...error.fields,
    RequestId: context.requestId,
    HostId: context.requestId,
  });
  // Also for HEAD: Node's client, and so the SDK, closes a connection whose response has no Content-Length.
  response.writeHead(row.status, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(body) });
  if (request.method === 'HEAD') response.end();
  else response.end(body);
  return row.status;
}

/** What S3 adds to the errors of `versionId=…`. */
function versionFields(
  { code }: OrcaError,
  { method }: IncomingMessage,
  { versionId }: ErrorContext,
): Readonly<Record<string, string | undefined>> {
  switch (code) {
    case 'version_not_found':
      return { VersionId: versionId };
    case 'version_invalid':
      return { ArgumentName: 'versionId', ArgumentValue: versionId };
    case 'delete_marker':
      return { Method: method, ResourceType: 'DeleteMarker' };
    default:
      return {};
  }
}

export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}
