/**
 * SSE-C: requests with an encryption key of the client. The cache keeps none, so it serves no object that needs one; it
 * refuses the request as S3 would, instead of ignoring the headers.
 */
import { createHash } from 'node:crypto';
import { OrcaError } from '#cache/core/errors.ts';

// Literals: a name that is computed is another string for V8, which would compile each look-up again and again.
const ALGORITHM = 'x-amz-server-side-encryption-customer-algorithm';
const KEY = 'x-amz-server-side-encryption-customer-key';
const KEY_MD5 = 'x-amz-server-side-encryption-customer-key-md5';
/** AES256, the only algorithm. */
const KEY_BYTES = 32;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Whether the request has a key; `headers` by lower-case name. Throws `invalid_argument` for one that S3 would refuse. */
export function hasCustomerKey(headers: Headers): boolean {
  const { [ALGORITHM]: algorithm, [KEY]: key, [KEY_MD5]: md5 } = headers;
  if (algorithm === undefined && key === undefined && md5 === undefined) return false;
  const needs = 'Requests specifying Server Side Encryption with Customer provided keys must provide';
  if (algorithm === undefined) throw invalid(ALGORITHM, `${needs} a valid encryption algorithm.`);
  if (algorithm !== 'AES256')
    throw invalid(ALGORITHM, 'The encryption request you specified is not valid. The valid value is AES256.');
  if (key === undefined) throw invalid(KEY, `${needs} an appropriate secret key.`);
  const bytes = BASE64.test(String(key)) ? Buffer.from(String(key), 'base64') : undefined;
  if (bytes?.length !== KEY_BYTES) throw invalid(KEY, 'The secret key was invalid for the specified algorithm.');
  if (md5 === undefined) throw invalid(KEY_MD5, `${needs} the client calculated MD5 of the secret key.`);
  if (createHash('md5').update(bytes).digest('base64') !== md5)
    throw invalid(KEY_MD5, 'The calculated MD5 hash of the key did not match the hash that was provided.');
  return true;
}

/** The answer to a valid key for an object without one. */
export function notApplicable(): OrcaError {
  return new OrcaError('bad_request', 'The encryption parameters are not applicable to this object.');
}

/** Without the value, which may be a secret. */
function invalid(name: string, message: string): OrcaError {
  return new OrcaError('invalid_argument', message, { fields: { ArgumentName: name } });
}
