import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { formatAddress, parseAddress } from '#cache/config/listen-address.ts';

describe('an address', () => {
  test.for([
    ['0.0.0.0:8443', '0.0.0.0', 8443],
    ['[::]:8443', '::', 8443],
    ['localhost:0', 'localhost', 0],
    ['a.b-c.svc:65535', 'a.b-c.svc', 65_535],
  ] as const)('%s is parsed into host and port', ([text, host, port]) => {
    expect(parseAddress(text)).toEqual({ host, port });
  });

  test.for(['', ':8443', 'host', 'host:', 'host:x', 'host:65536', 'host:123456', '::1:80', '[::1]', '[x]:80', 'a b:1'])(
    'rejects %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  test('is parsed back to the same host and port after formatting', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        expect(parseAddress(formatAddress({ host: name, port }))).toEqual({ host: name, port });
      }),
    );
  });
});
