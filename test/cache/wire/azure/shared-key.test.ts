import { describe, expect, test } from 'vitest';
import { sharedKeyAuthorization, stringToSign } from '#cache/wire/azure/shared-key.ts';

const KEY = Buffer.from('not a real key', 'utf8');
const headers = { 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT', 'x-ms-version': '2015-02-21' };

describe('the string to sign', () => {
  test('matches the documented example of a request with parameters', () => {
    const text = stringToSign({
      account: 'myaccount',
      key: KEY,
      method: 'GET',
      path: '/mycontainer',
      query: [
        ['restype', 'container'],
        ['comp', 'metadata'],
        ['timeout', '20'],
      ],
      headers,
    });
    expect(text).toBe(
      'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n' +
        '/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20',
    );
  });

  test('has the standard headers in fixed order and the x-ms-* headers sorted', () => {
    const text = stringToSign({
      account: 'a',
      key: KEY,
      method: 'PUT',
      path: '/a/c/with%20space',
      query: [],
      headers: {
        'x-ms-version': '2025-11-05',
        'x-ms-meta-b': ' two ',
        'x-ms-blob-type': 'BlockBlob',
        'if-none-match': '*',
        'if-match': '"e"',
        range: 'bytes=0-9',
        'content-type': 'text/plain',
        'content-md5': 'md5==',
        'content-length': '10',
        'x-ms-date': 'now',
        host: 'not signed',
      },
    });
    expect(text.split('\n')).toEqual([
      'PUT',
      '',
      '',
      '10',
      'md5==',
      'text/plain',
      '',
      '',
      '"e"',
      '*',
      '',
      'bytes=0-9',
      'x-ms-blob-type:BlockBlob',
      'x-ms-date:now',
      'x-ms-meta-b:two',
      'x-ms-version:2025-11-05',
      '/a/a/c/with%20space',
    ]);
  });

  test('has an empty Content-Length for a length of 0', () => {
    const of = (length: string) =>
      stringToSign({
        account: 'a',
        key: KEY,
        method: 'PUT',
        path: '/c',
        query: [],
        headers: { ...headers, 'content-length': length },
      });
    expect(of('0').split('\n')[3]).toBe('');
    expect(of('1').split('\n')[3]).toBe('1');
  });
});

test('the header contains only the account and the signature', () => {
  const input = { account: 'acme', key: KEY, method: 'GET', path: '/c', query: [], headers };
  const value = sharedKeyAuthorization(input);
  expect(value).toMatch(/^SharedKey acme:[A-Za-z0-9+/]{43}=$/);
  expect(sharedKeyAuthorization({ ...input, method: 'HEAD' })).not.toBe(value);
  expect(sharedKeyAuthorization({ ...input, key: Buffer.from('another') })).not.toBe(value);
});
