import { expect, test } from 'vitest';
import { plainAddress } from '#cache/http/listener/plain-address.ts';

test.each([
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
  ['fd00::1', 'fd00::1'],
  ['::1', '::1'],
  // Groups, not a dotted address: Node never writes it, so it stays.
  ['::ffff:a00:1', '::ffff:a00:1'],
  [undefined, undefined],
])('%s is written as %s', (address, plain) => {
  expect(plainAddress(address)).toBe(plain);
});
