import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { openAccessLog, type AccessRecord } from '#cache/http/edge/access-log.ts';

const request = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  ({ method, url, httpVersion: '1.1', headers: { host: 'cache:8443', ...headers } }) as unknown as IncomingMessage;

const RECORD: AccessRecord = {
  request: request('/models/a%20b?versionId=v', { 'user-agent': 'aws-cli/2 "x"', range: 'bytes=0-9' }),
  client: { ip: '192.0.2.3', cipher: 'TLS_AES_128_GCM_SHA256', tlsVersion: 'TLSv1.3' },
  requestId: 'ABCD',
  atMs: Date.UTC(2026, 1, 6, 0, 0, 38),
  bucket: 'models',
  key: 'a b',
  versionId: 'v',
  requester: 'team a',
  subResource: undefined,
  status: 206,
  errorCode: undefined,
  cache: 'HIT',
  bytes: 10,
  objectSizeBytes: 113,
  sources: { memory: 10 },
  ms: 7.25,
  firstByteMs: 6.001,
};

function lineOf(format: 'json' | 's3', changes: Partial<AccessRecord> = {}): string {
  const lines: string[] = [];
  openAccessLog({ format, sample: 1 }, (line) => lines.push(line)).write({ ...RECORD, ...changes });
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[\r\n]/);
  return lines[0]!;
}

describe('s3', () => {
  test('a line has the fields of a server access log in their order', () => {
    expect(lineOf('s3')).toBe(
      '- models [06/Feb/2026:00:00:38 +0000] 192.0.2.3 team%20a ABCD REST.GET.OBJECT a%20b ' +
        '"GET /models/a%20b?versionId=v HTTP/1.1" 206 - 10 113 7 6 "-" "aws-cli/2 %22x%22" v ABCD ' +
        'SigV4 TLS_AES_128_GCM_SHA256 QueryString cache%3A8443 TLSv1.3 - -',
    );
  });

  test('what is not known is a dash', () => {
    const line = lineOf('s3', {
      request: request('/'),
      client: { ip: undefined, cipher: undefined, tlsVersion: undefined },
      bucket: '',
      key: '',
      versionId: undefined,
      requester: undefined,
      status: 403,
      errorCode: 'AccessDenied',
      bytes: 0,
      objectSizeBytes: undefined,
      firstByteMs: undefined,
    });
    expect(line).toBe(
      '- - [06/Feb/2026:00:00:38 +0000] - - ABCD REST.GET.SERVICE - "GET / HTTP/1.1" 403 AccessDenied ' +
        '- - 7 - "-" "-" - ABCD - - - cache%3A8443 - - -',
    );
  });

  test('texts of clients cannot add fields or lines, and have a limit', () => {
    const line = lineOf('s3', {
      key: '\r\nforged " entry',
      request: request('/x', { 'user-agent': `a"\u0007${'x'.repeat(5_000)}`, referer: 'r' }),
    });
    expect(line.match(/"/g)).toHaveLength(6);
    expect(line).toContain(' %0D%0Aforged%20%22%20entry ');
    expect(line.length).toBeLessThan(2_500);
  });

  test.for([
    ['a list', { key: '' }, 'REST.GET.BUCKET'],
    ['tags of an object', { subResource: 'tagging' }, 'REST.GET.OBJECT_TAGGING'],
    ['a configuration', { key: '', subResource: 'object-lock' }, 'REST.GET.OBJECT_LOCK'],
    ['HEAD', { request: request('/models/k', {}, 'HEAD') }, 'REST.HEAD.OBJECT'],
  ] as const)('the operation of %s is %s', ([, changes, operation]) => {
    expect(lineOf('s3', changes)).toContain(` ${operation} `);
  });
});

describe('json', () => {
  test('a line is one document with the fields as values', () => {
    expect(JSON.parse(lineOf('json'))).toEqual({
      level: 'info',
      time: '2026-02-06T00:00:38.000Z',
      message: 'access',
      requestId: 'ABCD',
      client: '192.0.2.3',
      requester: 'team a',
      operation: 'REST.GET.OBJECT',
      method: 'GET',
      bucket: 'models',
      key: 'a b',
      versionId: 'v',
      uri: '/models/a%20b?versionId=v',
      range: 'bytes=0-9',
      status: 206,
      cache: 'HIT',
      bytes: 10,
      objectBytes: 113,
      sources: { memory: 10 },
      ms: 7.25,
      firstByteMs: 6.001,
      userAgent: 'aws-cli/2 "x"',
      auth: 'QueryString',
      tls: 'TLSv1.3',
    });
  });
});

test.for(['json', 's3'] as const)('%s has no signature, credential or token', (format) => {
  const secret = 'hunter2';
  const line = lineOf(format, {
    request: request(`/models/k?X-Amz-Signature=${secret}&x%2Damz%2Dcredential=${secret}`, {
      authorization: `AWS4-HMAC-SHA256 Signature=${secret}`,
      'x-amz-security-token': secret,
      'x-amz-server-side-encryption-customer-key': secret,
      cookie: secret,
      referer: `https://host/?X-Amz-Security-Token=${secret}`,
    }),
  });
  expect(line).not.toContain(secret);
});

test('a sample logs one request of four', () => {
  let next = 0;
  const log = openAccessLog(
    { format: 'json', sample: 4 },
    () => {},
    () => (next++ % 100) / 100,
  );
  const sampled = Array.from({ length: 1_000 }, () => log.isSampled()).filter(Boolean).length;
  expect(sampled).toBe(250);
});
