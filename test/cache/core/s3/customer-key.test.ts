import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { OrcaError } from '#cache/core/errors.ts';
import { hasCustomerKey } from '#cache/core/s3/customer-key.ts';

const BYTES = Buffer.alloc(32, 7);
const KEY = BYTES.toString('base64');
const MD5 = createHash('md5').update(BYTES).digest('base64');
const PREFIX = 'x-amz-server-side-encryption-customer-';
const GOOD = { [`${PREFIX}algorithm`]: 'AES256', [`${PREFIX}key`]: KEY, [`${PREFIX}key-md5`]: MD5 };

test('a request without such headers has no key', () => {
  expect(hasCustomerKey({ 'x-amz-server-side-encryption': 'AES256', host: 'h' })).toBe(false);
});

test('a complete key is one', () => {
  expect(hasCustomerKey(GOOD)).toBe(true);
});

test.for([
  ['no algorithm', { algorithm: undefined }, 'algorithm', 'must provide a valid encryption algorithm'],
  ['another algorithm', { algorithm: 'AES128' }, 'algorithm', 'The valid value is AES256'],
  ['no key', { key: undefined }, 'key', 'must provide an appropriate secret key'],
  ['a short key', { key: 'AAAA' }, 'key', 'The secret key was invalid'],
  ['a key that is not base64', { key: `${KEY}*` }, 'key', 'The secret key was invalid'],
  ['no MD5', { 'key-md5': undefined }, 'key-md5', 'must provide the client calculated MD5'],
  ['another MD5', { 'key-md5': KEY }, 'key-md5', 'did not match the hash'],
] as const)('%s is refused by the name of the header, without its value', ([, changes, name, text]) => {
  const changed = Object.entries(changes).map(([suffix, value]) => [PREFIX + suffix, value]);
  try {
    hasCustomerKey({ ...GOOD, ...(Object.fromEntries(changed) as Record<string, string | undefined>) });
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_argument', fields: { ArgumentName: PREFIX + name } });
    expect((error as OrcaError).message).toContain(text);
    expect(JSON.stringify(error)).not.toContain(KEY);
  }
});
