/**
 * Cross-origin reads from browsers (https://fetch.spec.whatwg.org/#http-cors-protocol), for configured origins only.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OrcaError } from '#cache/core/errors.ts';

const METHODS = 'GET, HEAD';
/** A day, the most for which browsers cache a preflight response. */
const MAX_AGE_S = 86_400;
/** Headers that scripts may read in addition to those that are always allowed. */
const EXPOSED = [
  'ETag',
  'Accept-Ranges',
  'Content-Range',
  'Content-Encoding',
  'Age',
  'X-Cache',
  'x-amz-request-id',
  'x-amz-id-2',
  'x-amz-bucket-region',
  'x-amz-storage-class',
  'x-amz-version-id',
];

/** Adds the CORS headers to any response to an allowed origin. */
export function allowOrigin(corsOrigins: readonly string[], request: IncomingMessage, response: ServerResponse): void {
  if (corsOrigins.length === 0) return;
  const allowed = allowedOrigin(corsOrigins, request.headers.origin);
  // Intermediate caches must not serve one origin's response to another.
  if (!corsOrigins.includes('*')) response.setHeader('Vary', 'Origin');
  if (allowed === undefined) return;
  response.setHeader('Access-Control-Allow-Origin', allowed);
  response.setHeader('Access-Control-Expose-Headers', EXPOSED.join(', '));
}

/** `OPTIONS`: as in S3, without authentication and for any resource. */
export function preflight(corsOrigins: readonly string[], request: IncomingMessage, response: ServerResponse): number {
  const {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': headers,
  } = request.headers;
  if (origin === undefined || method === undefined)
    throw new OrcaError(
      'cors_incomplete',
      'Insufficient information. Origin request header needed, and Access-Control-Request-Method.',
    );
  if (allowedOrigin(corsOrigins, origin) === undefined || !['GET', 'HEAD'].includes(method))
    throw new OrcaError('cors_forbidden', 'CORSResponse: This CORS request is not allowed.');
  response.writeHead(200, {
    'Access-Control-Allow-Methods': METHODS,
    'Access-Control-Max-Age': MAX_AGE_S,
    ...(headers !== undefined && { 'Access-Control-Allow-Headers': headers }),
    'Content-Length': 0,
  });
  response.end();
  return 200;
}

function allowedOrigin(corsOrigins: readonly string[], origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined;
  if (corsOrigins.includes('*')) return '*';
  return corsOrigins.includes(origin) ? origin : undefined;
}
