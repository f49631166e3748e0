/**
 * `POST /internal/reads` and `POST /internal/usage`: calls with a body. The MAC covers the hash of the body, as it covers
 * every X-Orca header, so a receiver authenticates a call before it takes a byte of its body. A release that does not
 * know the calls accepts the MAC too, and answers 400.
 */
import { createHash } from 'node:crypto';
import { PEER_TERMS } from './fill-request.ts';

export const READS_PATH = '/internal/reads';
export const USAGE_PATH = '/internal/usage';

/** The hex digits of the SHA-256 of the body. */
export const BODY_HASH_HEADER = 'x-orca-body-sha256';

/** The headers of a call with that body. Lower-case names. */
export function formatReportTerms(body: Uint8Array): Record<string, string> {
  return { ...PEER_TERMS, [BODY_HASH_HEADER]: hashOf(body) };
}

/** Whether the call with these headers was signed for that body. */
export function isSignedBody(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: Uint8Array,
): boolean {
  return headers[BODY_HASH_HEADER] === hashOf(body);
}

function hashOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
