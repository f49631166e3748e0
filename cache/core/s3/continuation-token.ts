/**
 * Where a list goes on, as text that clients hand back. It holds all there is to know, so that every replica understands
 * it, also after a restart; and it is bound to its query, so that a mistaken one is refused instead of skipping keys.
 */
import { createHash } from 'node:crypto';
import { OrcaError } from '#cache/core/errors.ts';

const VERSION = 1;
/** Against mistakes, not against people: who may list may also say where to start. */
const BINDING_BYTES = 8;

export interface TokenQuery {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
}

export function encodeToken(query: TokenQuery, after: string): string {
  return Buffer.concat([Buffer.of(VERSION), binding(query, after), Buffer.from(after, 'utf8')]).toString('base64url');
}

/** Behind which name the list goes on. Throws `invalid_argument`. */
export function decodeToken(query: TokenQuery, token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const after = bytes.subarray(1 + BINDING_BYTES).toString('utf8');
  // Base64 is read laxly: what does not come out the same again was not made here.
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
