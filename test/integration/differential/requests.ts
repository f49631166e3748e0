/** The requests that are sent to both servers. */
import { encodeKey } from '#cache/wire/s3/sigv4.ts';
import { ORIGIN_BUCKET as BUCKET } from '#test/support/replicas.ts';
import { CREDENTIALS, request, type Query, type Request } from './request.ts';

/** The maximum clock skew of signed requests, in either direction. */
const SKEW_MS = 15 * 60_000;
const MINUTE_MS = 60_000;

/** Writes go to another bucket than the one that reads use. */
export const SCRATCH_BUCKET = 'far-scratch';
export const OBJECT_BYTES = 100;
/** Names that are special in order, common prefixes and encoding. */
export const LISTED = [
  'list/a.',
  'list/a b',
  'list/a+b',
  'list/a-b',
  'list/a/b',
  'list/a/c/d',
  'list/a/c/e',
  'list/a%2Fb',
  'list/b&<>"\'',
  'list/c/d',
  'list/é/ü',
  'list/\u{e000}',
  'list/\u{1f433}',
];

export interface Versions {
  /** Of `object`. */
  readonly etag: string;
  readonly modifiedMs: number;
}

/** `content`: without the requests that the edge answers by itself, whatever the origin. */
export function requests(versions: Versions, about: 'everything' | 'content'): Request[] {
  const content = [
    ...ranges(versions),
    ...parts(),
    ...overrides(),
    ...headers(),
    ...subResources(),
    ...lists(),
    ...names(),
  ];
  if (about === 'content') return content;
  return [...content, ...conditions(versions), ...badLists(), ...methods(), ...service(), ...signatures()];
}

const path = (key: string): string => `/${BUCKET}/${encodeKey(key)}`;
/** The object of conditional requests. */
export const OBJECT = path('object');
const READS = ['GET', 'HEAD'] as const;

function get(key: string, query: Query = [], headers: Readonly<Record<string, string>> = {}): Request[] {
  return READS.map((method) => request(path(key), query, { method, headers }));
}

/** The values that are not undefined. */
function some(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function conditions({ etag, modifiedMs }: Versions): Request[] {
  const date = (offsetMs: number): string => new Date(modifiedMs + offsetMs).toUTCString();
  const made: Request[] = [];
  for (const match of [undefined, etag, '"other"', '*'])
    for (const noneMatch of [undefined, etag, '"other"', '*'])
      for (const since of [undefined, date(-MINUTE_MS), date(0)])
        for (const unmodified of [undefined, date(-MINUTE_MS), date(0)])
          made.push(
            ...get(
              'object',
              [],
              some({
                'if-match': match,
                'if-none-match': noneMatch,
                'if-modified-since': since,
                'if-unmodified-since': unmodified,
              }),
            ),
          );
  const bare = etag.replaceAll('"', '');
  for (const tags of [bare, `"other", ${etag}`, `${etag},"other"`, `W/${etag}`, '"other", W/"another"', '', '""'])
    made.push(...get('object', [], { 'if-match': tags }), ...get('object', [], { 'if-none-match': tags }));
  for (const when of ['yesterday', '', '0', date(24 * 60 * MINUTE_MS)])
    made.push(
      ...get('object', [], { 'if-modified-since': when }),
      ...get('object', [], { 'if-unmodified-since': when }),
    );
  for (const headers of [{ 'if-match': '*' }, { 'if-none-match': '*' }, { 'if-match': '"other"' }])
    made.push(...get('missing', [], headers));
  // Before the range is looked at.
  for (const condition of [{ 'if-match': '"other"' }, { 'if-match': etag }, { 'if-none-match': etag }])
    for (const range of ['bytes=0-9', 'bytes=200-']) made.push(...get('object', [], { ...condition, range }));
  return made;
}

const RANGES = [
  'bytes=,',
  'bytes= -1',
  'bytes=--1',
  'bytes=0 -1',
  'bytes=0--1',
  'bytes=10-5',
  'bytes=abc',
  'foo=0-1',
  'bytes=100-x',
  'bytes=0-0,1-2',
  'bytes=300-200',
  'bytes=00-01',
  'bytes=-1',
  'bytes=-100',
  'bytes=-101',
  'bytes=0-0',
  'bytes=0-99',
  'bytes=0-100',
  'bytes=0-999999',
  'bytes=0-99999999999999999999',
  'bytes=50-',
  'bytes=99-99',
  'bytes=0-',
  'bytes=-0',
  'bytes=100-100',
  'bytes=100-',
  'bytes=100-110',
  'bytes=99999999999999999999-',
  'bytes=',
  'bytes',
  'Bytes=0-1',
  'bytes =0-1',
  'bytes=0-1 ',
];

function ranges({ etag, modifiedMs }: Versions): Request[] {
  const made: Request[] = [];
  for (const key of ['object', 'empty', 'missing']) for (const range of RANGES) made.push(...get(key, [], { range }));
  for (const ifRange of [etag, '"other"', `W/${etag}`, new Date(modifiedMs).toUTCString(), 'nonsense'])
    made.push(...get('object', [], { range: 'bytes=0-9', 'if-range': ifRange }));
  return made;
}

function parts(): Request[] {
  const made: Request[] = [];
  for (const key of ['object', 'empty', 'multipart', 'one-part', 'missing'])
    for (const part of ['1', '2', '3', '4', '10000', '10001', '0', '-1', 'x', '', '01', '1.0'])
      made.push(...get(key, [['partNumber', part]]));
  made.push(...get('multipart', [['partNumber', '1']], { range: 'bytes=0-1' }));
  for (const match of ['*', '"other"']) made.push(...get('multipart', [['partNumber', '2']], { 'if-match': match }));
  made.push(...get('multipart', [['partNumber', '2']], { 'if-none-match': '*' }));
  made.push(...get('multipart', [['partNumber', '1']], { 'x-amz-checksum-mode': 'ENABLED' }));
  return made;
}

function overrides(): Request[] {
  const made: Request[] = [];
  const values: Readonly<Record<string, string>> = {
    'response-content-type': 'text/x; charset=utf-8',
    'response-content-language': 'de',
    'response-expires': 'Thu, 01 Dec 1994 16:00:00 GMT',
    'response-cache-control': 'no-cache',
    'response-content-disposition': 'attachment; filename="a b.txt"',
    'response-content-encoding': 'identity',
    'response-nonsense': 'x',
  };
  for (const [name, value] of Object.entries(values)) made.push(...get('object', [[name, value]]));
  made.push(...get('object', Object.entries(values).slice(0, -1)));
  made.push(...get('object', [['response-content-type', 'text/x']], { range: 'bytes=0-9' }));
  made.push(...get('object', [['response-content-type', 'text/x']], { 'if-none-match': '*' }));
  made.push(...get('object', [['response-content-type', '']]));
  made.push(...get('missing', [['response-content-type', 'text/x']]));
  return made;
}

function headers(): Request[] {
  const made: Request[] = [];
  for (const key of ['object', 'empty', 'plain', 'summed', 'multipart', 'one-part']) made.push(...get(key));
  for (const mode of ['ENABLED', 'enabled', 'nonsense'])
    for (const key of ['summed', 'object', 'one-part']) made.push(...get(key, [], { 'x-amz-checksum-mode': mode }));
  made.push(...get('summed', [], { 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-3' }));
  for (const owner of ['orcatest', 'somebody-else', ''])
    made.push(
      ...get('object', [], { 'x-amz-expected-bucket-owner': owner }),
      ...READS.map((method) =>
        request(`/${BUCKET}`, [], { method, headers: { 'x-amz-expected-bucket-owner': owner } }),
      ),
    );
  made.push(...get('object', [], { 'x-amz-request-payer': 'requester' }));
  made.push(...get('object', [], { 'accept-encoding': 'gzip, br' }));
  made.push(...get('object', [['x-id', 'GetObject']]));
  made.push(...get('object', [['nonsense', 'x']]));
  for (const version of ['null', '', 'nonsense', '01HZ0000000000000000000000'])
    made.push(...get('object', [['versionId', version]]));
  return made;
}

const BUCKET_SUB_RESOURCES = [
  'accelerate',
  'acl',
  'analytics',
  'cors',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'tagging',
  'uploads',
  'versioning',
  'versions',
  'website',
];
const OBJECT_SUB_RESOURCES = [
  'acl',
  'attributes',
  'legal-hold',
  'restore',
  'retention',
  'tagging',
  'torrent',
  'uploads',
];

function subResources(): Request[] {
  const made: Request[] = [];
  for (const name of BUCKET_SUB_RESOURCES)
    for (const bucket of [BUCKET, 'no-such-bucket'])
      made.push(...READS.map((method) => request(`/${bucket}`, [[name, '']], { method })));
  for (const name of OBJECT_SUB_RESOURCES)
    for (const key of ['object', 'missing']) made.push(...get(key, [[name, '']]));
  made.push(request(path('object'), [['uploadId', 'nonsense']]));
  made.push(
    request(path('object'), [['attributes', '']], { headers: { 'x-amz-object-attributes': 'ETag,ObjectSize' } }),
  );
  return made;
}

/** Every pair of values is combined, with two of the remaining ones in turn. */
function lists(): Request[] {
  const made: Request[] = [];
  const prefixes = ['list/', 'list/a', 'list/a/', 'list/a/c/', 'nothing', 'list/é', ''];
  const delimiters = [undefined, '', '/', 'b', '%2F', 'a/c'];
  const sizes = [undefined, '0', '1', '2', '5', '1000', '5000', ''];
  const afters = [undefined, '', 'list/a', 'list/a/', 'list/a/c/d', 'list/b', 'zzz'];
  const encodings = [undefined, 'url'];
  let turn = 0;
  for (const prefix of prefixes)
    for (const delimiter of delimiters)
      for (const after of afters) {
        const size = sizes[turn % sizes.length];
        const encoding = encodings[turn % encodings.length];
        turn += 1;
        const common = { prefix, delimiter, 'max-keys': size, 'encoding-type': encoding };
        const owner = turn % 3 === 0 ? 'true' : undefined;
        const second = { 'list-type': '2', ...common, 'start-after': after, 'fetch-owner': owner };
        made.push(request(`/${BUCKET}`, Object.entries(some(second))));
        made.push(request(`/${BUCKET}`, Object.entries(some({ ...common, marker: after }))));
      }
  for (const version of [{}, { 'list-type': '2' }])
    for (const [size, encoding] of sizes.flatMap((size) => encodings.map((encoding) => [size, encoding] as const)))
      made.push(
        request(
          `/${BUCKET}`,
          Object.entries(
            some({ ...version, prefix: 'list/', delimiter: '/', 'max-keys': size, 'encoding-type': encoding }),
          ),
        ),
      );
  return made;
}

function badLists(): Request[] {
  const bad: Query[] = [
    [['max-keys', '-1']],
    [['max-keys', 'x']],
    [['max-keys', '1.5']],
    [['max-keys', '2147483647']],
    [['max-keys', '2147483648']],
    [['max-keys', '99999999999999999999']],
    [['encoding-type', 'base64']],
    [['encoding-type', '']],
    [['fetch-owner', 'yes']],
    [['continuation-token', '']],
    [['continuation-token', 'nonsense']],
    [['start-after', 'a']],
    [['nonsense', 'x']],
    [['x-id', 'ListObjects']],
  ];
  const made = bad.flatMap((query) => [
    request(`/${BUCKET}`, query),
    request(`/${BUCKET}`, [['list-type', '2'], ...query]),
  ]);
  for (const type of ['1', '3', '', 'x']) made.push(request(`/${BUCKET}`, [['list-type', type]]));
  for (const bucket of ['no-such-bucket', 'No-Such-Bucket', 'ab', 'a_b', '-ab', 'a..b'])
    for (const query of [[], [['list-type', '2']], [['location', '']]] as const)
      made.push(...READS.map((method) => request(`/${bucket}`, query, { method })));
  made.push(...READS.map((method) => request(`/${BUCKET}/`, [['prefix', 'list/']], { method })));
  made.push(...READS.map((method) => request(`/${BUCKET}`, [], { method })));
  return made;
}

function names(): Request[] {
  const made: Request[] = [];
  for (const key of LISTED) made.push(...get(key));
  for (const raw of [
    `/${BUCKET}/${'k'.repeat(1024)}`,
    `/${BUCKET}/${'k'.repeat(1025)}`,
    `/${BUCKET}/list%2Fa`,
    `/${BUCKET}//object`,
    `/${BUCKET}/list//a`,
    `/${BUCKET}/object/`,
    `/${BUCKET}/./object`,
    `/${BUCKET}/list/../object`,
    `/${BUCKET}/%2e%2e/object`,
    `/${BUCKET}/../${BUCKET}/object`,
    `/${BUCKET}/nul%00`,
    `/${BUCKET}/list/a+b`,
    `/${BUCKET}/list/a%20b`,
    '/no-such-bucket/object',
    '/No-Such-Bucket/object',
  ])
    made.push(...READS.map((method) => request(raw, [], { method })));
  for (const raw of [`/${BUCKET}/bad%`, `/${BUCKET}/bad%zz`, `/${BUCKET}/latin%e9`, '/bad%/object'])
    made.push(request(raw));
  return made;
}

function methods(): Request[] {
  const scratch = (key: string): string => `/${SCRATCH_BUCKET}/${key}`;
  return [
    request(scratch('written'), [], { method: 'PUT', body: 'x' }),
    request(scratch('gone'), [], { method: 'DELETE' }),
    request(scratch('begun'), [['uploads', '']], { method: 'POST' }),
    request(scratch('tagged'), [['tagging', '']], { method: 'PUT', body: '<Tagging/>' }),
    request(`/${BUCKET}`, [['delete', '']], { method: 'POST', body: '<Delete/>' }),
    request(`/${BUCKET}`, [], { method: 'POST' }),
    request(`/${BUCKET}`, [['versioning', '']], { method: 'PUT', body: '<VersioningConfiguration/>' }),
    request(path('object'), [], { method: 'PATCH' }),
    request('/', [], { method: 'POST' }),
    request('/', [], { method: 'DELETE' }),
    request(path('object'), [], { method: 'OPTIONS' }),
    request(path('object'), [], { method: 'OPTIONS', headers: { origin: 'https://app.example' } }),
    request(path('object'), [], {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
      auth: { kind: 'none' },
    }),
  ];
}

function service(): Request[] {
  const queries: Query[] = [
    [],
    [['prefix', 'far']],
    [['prefix', 'nothing']],
    [['max-buckets', '1']],
    [['max-buckets', '0']],
    [['max-buckets', '10001']],
    [['max-buckets', 'x']],
    [['continuation-token', 'nonsense']],
    [['bucket-region', 'us-east-1']],
    [['x-id', 'ListBuckets']],
  ];
  return [
    ...queries.map((query) => request('/', query)),
    request('/', [], { method: 'HEAD' }),
    request('/', [], { auth: { kind: 'none' } }),
  ];
}

function signatures(): Request[] {
  const made: Request[] = [];
  const target = path('object');
  const auths: Request['auth'][] = [
    { kind: 'none' },
    { kind: 'header', with: { secretAccessKey: 'another' } },
    { kind: 'header', with: { accessKeyId: 'nobody' } },
    { kind: 'header', ageMs: SKEW_MS + MINUTE_MS },
    { kind: 'header', ageMs: -SKEW_MS - MINUTE_MS },
    { kind: 'presigned' },
    { kind: 'presigned', expires: '604800' },
    { kind: 'presigned', expires: '604801' },
    { kind: 'presigned', expires: '0' },
    { kind: 'presigned', expires: '-1' },
    { kind: 'presigned', expires: 'x' },
    { kind: 'presigned', expires: '' },
    { kind: 'presigned', expires: '60', ageMs: 2 * MINUTE_MS },
    { kind: 'presigned', ageMs: -SKEW_MS - MINUTE_MS },
    { kind: 'presigned', with: { secretAccessKey: 'another' } },
    { kind: 'presigned', with: { accessKeyId: 'nobody' } },
  ];
  for (const auth of auths) made.push(...READS.map((method) => request(target, [], { method, auth })));
  made.push(request(target, [['response-content-type', 'text/x']], { auth: { kind: 'presigned' } }));
  made.push(request(target, [['response-content-type', 'text/x']], { auth: { kind: 'none' } }));
  made.push(request(target, [], { auth: { kind: 'presigned' }, headers: { range: 'bytes=0-9' } }));
  const [day] = new Date().toISOString().replaceAll('-', '').split('T');
  const scope = `${CREDENTIALS.accessKeyId}/${day}/us-east-1/s3/aws4_request`;
  const zeros = '0'.repeat(64);
  for (const authorization of [
    'nonsense',
    'AWS4-HMAC-SHA256',
    `AWS4-HMAC-SHA256 Credential=${scope}`,
    `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host`,
    `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${zeros}`,
    `AWS4-HMAC-SHA256 Credential=${CREDENTIALS.accessKeyId}, SignedHeaders=host, Signature=${zeros}`,
    `AWS4-HMAC-SHA256 Credential=${scope.replace('/s3/', '/ec2/')}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${zeros}`,
    `AWS4-HMAC-SHA256 Credential=${scope.replace('aws4', 'aws5')}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${zeros}`,
    `AWS4-HMAC-SHA256 Credential=${scope.replace(/\d{8}/, '20200101')}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${zeros}`,
    `AWS ${CREDENTIALS.accessKeyId}:c2lnbmF0dXJl`,
    'Bearer nonsense',
    '',
  ])
    made.push(request(target, [], { late: { authorization } }));
  for (const late of [
    { 'x-amz-date': undefined },
    { 'x-amz-date': 'nonsense' },
    { 'x-amz-content-sha256': undefined },
    { 'x-amz-content-sha256': 'nonsense' },
    { 'x-amz-content-sha256': zeros },
    { 'x-amz-meta-unsigned': 'x' },
    { 'x-amz-security-token': 'nonsense' },
  ])
    made.push(request(target, [], { late }));
  return made;
}
