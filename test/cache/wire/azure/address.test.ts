import { expect, test } from 'vitest';
import { azureAddress } from '#cache/wire/azure/address.ts';

test.for([
  ['', 'https://acme.blob.core.windows.net', '/box/a%20b'],
  ['https://acme.blob.core.chinacloudapi.cn', 'https://acme.blob.core.chinacloudapi.cn', '/box/a%20b'],
  ['http://127.0.0.1:10000/acme', 'http://127.0.0.1:10000', '/acme/box/a%20b'],
  ['http://[::1]:10000/acme/', 'http://[::1]:10000', '/acme/box/a%20b'],
] as const)('with the endpoint %j a blob is at %s%s', ([endpoint, base, path]) => {
  const address = azureAddress({ account: 'acme', endpoint });
  expect(address.base).toBe(base);
  expect(address.pathOf('box', 'a b')).toBe(path);
});

test('an empty blob name addresses the container', () => {
  expect(azureAddress({ account: 'acme', endpoint: '' }).pathOf('box', '')).toBe('/box');
});

test.for([
  ['plain/key', '/box/plain/key'],
  ["quote'star*bang!(é)", '/box/quote%27star%2Abang%21%28%C3%A9%29'],
  ['percent%2F', '/box/percent%252F'],
  // Segments that an intermediary would normalize.
  ['double//slash', '/box/double%2F%2Fslash'],
  ['dots/../up', '/box/dots%2F..%2Fup'],
  ['dot/./here', '/box/dot%2F.%2Fhere'],
  ['/leading', '/box/%2Fleading'],
  ['trailing/', '/box/trailing%2F'],
  ['..', '/box/..'],
  ['...', '/box/...'],
  ['.hidden/x..y', '/box/.hidden/x..y'],
] as const)('the key %j is sent as %s', ([key, path]) => {
  expect(azureAddress({ account: 'acme', endpoint: '' }).pathOf('box', key)).toBe(path);
});

test.for([
  ['http://127.0.0.1:1', true],
  ['http://127.9.9.9', true],
  ['http://localhost:1', true],
  ['http://[::1]:1', true],
  ['http://128.0.0.1', false],
  ['http://127.0.0.1.example.org', false],
  ['http://localhost.example.org', false],
] as const)('%s is loopback: %s', ([endpoint, isLoopback]) => {
  expect(azureAddress({ account: 'acme', endpoint })).toMatchObject({ isLoopback, isTls: false });
});
