import { expect, test } from 'vitest';
import { s3Address } from '#cache/wire/s3/address.ts';

const region = 'eu-west-1';

test.for([
  ['path style', { endpoint: 'http://store:9000', forcePathStyle: true }, 'bucket', 'store:9000', '/bucket/a%20b//c'],
  [
    'virtual host',
    { endpoint: 'http://store:9000', forcePathStyle: false },
    'bucket',
    'bucket.store:9000',
    '/a%20b//c',
  ],
  ['a base path', { endpoint: 'http://store/base/', forcePathStyle: true }, 'bucket', 'store', '/base/bucket/a%20b//c'],
  [
    "AWS's endpoint",
    { endpoint: '', forcePathStyle: false },
    'bucket',
    'bucket.s3.eu-west-1.amazonaws.com',
    '/a%20b//c',
  ],
  [
    'a dotted bucket over TLS',
    { endpoint: '', forcePathStyle: false },
    'my.bucket',
    's3.eu-west-1.amazonaws.com',
    '/my.bucket/a%20b//c',
  ],
  [
    'a dotted bucket without TLS',
    { endpoint: 'http://store', forcePathStyle: false },
    'my.bucket',
    'my.bucket.store',
    '/a%20b//c',
  ],
] as const)('%s', ([, options, bucket, host, path]) => {
  expect(s3Address({ region, ...options }).of(bucket, 'a b//c')).toEqual({ host, path });
});

test('a region in China uses its own domain', () => {
  expect(s3Address({ region: 'cn-north-1', endpoint: '', forcePathStyle: true }).of('b', 'k').host).toBe(
    's3.cn-north-1.amazonaws.com.cn',
  );
});
