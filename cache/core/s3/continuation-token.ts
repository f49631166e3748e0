/**
 * Continuation tokens of lists. A token contains its whole state, so that any replica can continue a list, also after a
 * restart. It is bound to its query: a token of another list is rejected instead of skipping keys.
 */
import { createHash } from 'node:crypto';
import { OrcaError } from '#cache/core/errors.ts';

const VERSION = 1;
/** Detects accidental mix-ups only; a client that may list may start at any key anyway. */
const BINDING_BYTES = 8;

export interface TokenQuery {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
}

export function encodeToken(query: TokenQuery, after: string): string {
  return Buffer.concat([Buffer.of(VERSION), binding(query, after), Buffer.from(after, 'utf8')]).toString('base64url');
}

/** The name after which the list continues. Throws `invalid_argument`. */
export function decodeToken(query: TokenQuery, token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const after = bytes.subarray(1 + BINDING_BYTES).toString('utf8');
  // Base64 decoding is lenient, so compare with the canonical encoding.
  if (after === '' || bytes[0] !== VERSION || encodeToken(query, after) !== token)
    throw new OrcaError('invalid_argument', 'The continuation token provided is incorrect', {
      fields: { ArgumentName: 'continuation-token' },
    });
  return after;
}

function binding({ bucket, prefix, delimiter }: TokenQuery, after: string): Buffer {
  const text = JSON.stringify([bucket, prefix, delimiter, after]);
  return createHash('sha256').update(text, 'utf8').digest().subarray(0, BINDING_BYTES);
}
