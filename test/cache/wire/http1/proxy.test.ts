import { describe, expect, test } from 'vitest';
import { proxyFor } from '#cache/wire/http1/proxy.ts';

const env = { HTTPS_PROXY: 'http://proxy:3128', HTTP_PROXY: 'plain:8080' };

describe('a proxy', () => {
  test('is selected by the scheme of the endpoint', () => {
    expect(proxyFor('https://s3.example', env)?.href).toBe('http://proxy:3128/');
    expect(proxyFor('http://s3.example', env)?.href).toBe('http://plain:8080/');
    expect(proxyFor('https://s3.example', { ...env, https_proxy: 'http://small:1' })?.host).toBe('small:1');
    expect(proxyFor('https://s3.example', {})).toBeUndefined();
  });

  test.for([
    ['*', 'https://s3.example', true],
    ['example', 'https://s3.example', true],
    ['.example', 'https://s3.example', true],
    ['*.example', 'https://s3.example', true],
    ['s3.example:443', 'https://s3.example', true],
    ['s3.example:80', 'https://s3.example', false],
    ['ample', 'https://s3.example', false],
    ['other,s3.example', 'https://s3.example', true],
    ['10.0.0.0/8', 'https://10.2.3.4', true],
    ['10.0.0.0/8', 'https://11.2.3.4', false],
    ['10.0.0.0/8', 'https://s3.example', false],
    ['fd00::/8', 'https://[fd00::1]:9000', true],
    ['127.0.0.1', 'http://127.0.0.1:7070', true],
    ['svc', 'http://store.storage.svc:7070', true],
    ['10.0.0.0/99', 'https://10.2.3.4', false],
  ] as const)('with NO_PROXY=%s, %s is exempt: %s', ([noProxy, endpoint, isDirect]) => {
    expect(proxyFor(endpoint, { ...env, NO_PROXY: noProxy }) === undefined).toBe(isDirect);
  });

  test('with an invalid URL is refused, and the message does not contain it', () => {
    for (const bad of ['socks5://user:hidden@proxy', 'http://'])
      expect(() => proxyFor('https://s3.example', { HTTPS_PROXY: bad })).toThrow(/^HTTPS_PROXY and HTTP_PROXY must/);
  });
});
