/** The parts of `hack/try` that need no process. test/integration/try.test.ts runs the whole. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '#cache/config/load.ts';
import { pasteCommands } from '#hack/try.d/commands.ts';
import { bucketOf, configOf } from '#hack/try.d/config.ts';
import { figuresLine, sumOf } from '#hack/try.d/figures.ts';
import { keyOf } from '#hack/try.d/first-key.ts';
import { parseOptions, UsageError, type TriedOrigin } from '#hack/try.d/options.ts';
import { startSampleOrigin, type SampleOrigin } from '#hack/try.d/sample-origin.ts';

const GIB = 1024 ** 3;
const FACTS = { env: {}, memory: { constrainedBytes: 0, totalBytes: 16 * GIB } };

describe('options', () => {
  test('without any, one replica in front of the sample files', () => {
    expect(parseOptions([], {})).toEqual({
      origin: { kind: 'sample' },
      replicas: 1,
      port: undefined,
      storeFolder: undefined,
    });
  });

  test.each<[string[], TriedOrigin]>([
    [
      ['--origin', 's3://acme'],
      { kind: 's3', bucket: 'acme', prefix: '', region: 'eu-north-1', endpoint: undefined, anonymous: false },
    ],
    [
      ['--origin', 's3://acme/data/v1', '--region', 'eu-west-1', '--anonymous'],
      { kind: 's3', bucket: 'acme', prefix: 'data/v1/', region: 'eu-west-1', endpoint: undefined, anonymous: true },
    ],
    [
      ['--origin', 's3://acme/', '--endpoint', 'http://10.0.0.1:9000/'],
      {
        kind: 's3',
        bucket: 'acme',
        prefix: '',
        region: 'eu-north-1',
        endpoint: 'http://10.0.0.1:9000',
        anonymous: false,
      },
    ],
    [['--origin', 'https://host.example/files/'], { kind: 'http', baseUrl: 'https://host.example/files' }],
  ])('%j', (args, origin) => {
    expect(parseOptions(args, { AWS_REGION: 'eu-north-1' })).toMatchObject({ origin });
  });

  test.each<[string[], string]>([
    [['--origin', 'acme'], '--origin must be s3://BUCKET[/PREFIX] or http(s)://HOST[/PATH], not acme'],
    [['--region', 'eu-west-1'], '--region requires --origin s3://BUCKET'],
    [['--origin', 'https://host', '--anonymous'], '--anonymous requires --origin s3://BUCKET'],
    [['--origin', 's3://acme', '--endpoint', 'host:9000'], '--endpoint must be an http or https URL'],
    [['--origin', 'https://user:secret@host'], '--origin must not contain a user or password'],
    [['--origin', 'https://host/?a=b'], '--origin must not have a query'],
    [['--replicas', '9'], '--replicas must be a whole number from 1 to 8, not 9'],
    [['--port', '0'], '--port must be a whole number from 1 to 65535'],
    [['--nonsense'], '--nonsense'],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args, {})).toThrow(message);
    expect(() => parseOptions(args, {})).toThrow(UsageError);
  });

  test('a password in a URL is not repeated', () => {
    expect(() => parseOptions(['--origin', 'https://user:hunter2@host'], {})).not.toThrow('hunter2');
  });

  test('--help', () => {
    expect(parseOptions(['-h'], {})).toBe('help');
  });
});

describe('the config file', () => {
  const ports = [
    { edge: 9000, peer: 9100, ops: 9200 },
    { edge: 9001, peer: 9101, ops: 9201 },
  ];
  const origins: readonly TriedOrigin[] = [
    { kind: 'sample' },
    { kind: 's3', bucket: 'acme', prefix: 'v1/', region: 'eu-west-1', endpoint: undefined, anonymous: true },
    { kind: 's3', bucket: 'acme', prefix: '', region: 'eu-west-1', endpoint: 'http://10.0.0.1:9000', anonymous: false },
    { kind: 'http', baseUrl: 'https://host.example/files' },
  ];

  test.each(origins)('of $kind is accepted', (origin) => {
    const plan = { origin, sampleEndpoint: 'http://127.0.0.1:1', storeFolder: '/tmp/store', ports };
    const config = parseConfig(stringify(configOf(plan, 1)), FACTS);
    expect(config).toMatchObject({
      listen: { edge: { port: 9001 } },
      peers: { self: '127.0.0.1:9101', peers: ['127.0.0.1:9100', '127.0.0.1:9101'] },
      origin: { buckets: [{ name: bucketOf(origin) }] },
    });
  });

  test('different origins have different ids, because they may share a folder', () => {
    const ids = origins.map(
      (origin) =>
        (configOf({ origin, sampleEndpoint: '', storeFolder: '/', ports }, 0) as { origin: { id: string } }).origin.id,
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test('commands are quoted for a shell', () => {
  const [curl, aws, python] = pasteCommands('http://127.0.0.1:9000', 'acme', "it's here/a b.bin");
  expect(curl).toMatch(/ http:\/\/127\.0\.0\.1:9000\/acme\/it%27s%20here\/a%20b\.bin$/);
  expect(aws).toContain(`'s3://acme/it'\\''s here/a b.bin'`);
  expect(python).toContain(`Key="it'\\''s here/a b.bin"`);
});

test('the figures of all replicas are one line', () => {
  const top = (hits: number, fill: number) => ({
    totals: {
      requests: hits + 1,
      byCache: { HIT: hits, MISS: 1 },
      servedBytes: 3 * fill,
      bySource: { memory: 2 * fill, store: 0, fill },
      originBytes: fill,
    },
  });
  expect(figuresLine(sumOf([top(2, 1024 ** 2), top(1, 1024 ** 2)]))).toBe(
    '5 requests, 3 hits · served 6Mi (memory 4Mi, origin 2Mi) · read from the origin 2Mi · saved 4Mi',
  );
});

test('the key for the commands is the largest that is read in seconds', () => {
  const entry = (key: string, size: number): string => `<Contents><Key>${key}</Key><Size>${size}</Size></Contents>`;
  const list = (...entries: string[]): string => `<ListBucketResult>${entries.join('')}</ListBucketResult>`;
  expect(keyOf(list(entry('a', 1), entry('b &amp; c', 2), entry('huge', 1e12), entry('folder/', 3)))).toBe('b & c');
  expect(keyOf(list(entry('empty', 0)))).toBeUndefined();
});

describe('the sample origin', () => {
  let origin: SampleOrigin;
  beforeAll(async () => {
    origin = await startSampleOrigin();
  });
  afterAll(async () => {
    await origin[Symbol.asyncDispose]();
  });

  test('lists pages and prefixes', async () => {
    const response = await fetch(`${origin.endpoint}/sample?list-type=2&delimiter=/&max-keys=2`);
    const text = await response.text();
    expect(text).toContain('<CommonPrefixes><Prefix>data/</Prefix></CommonPrefixes>');
    expect(text).toContain('<Key>hello.txt</Key>');
    expect(text).toContain('<IsTruncated>true</IsTruncated>');
  });

  test('sends ranges, and refuses another version', async () => {
    const url = `${origin.endpoint}/sample/hello.txt`;
    const part = await fetch(url, { headers: { range: 'bytes=0-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 0-4/67', 'Hello']);
    const other = await fetch(url, { headers: { 'if-match': '"other"' } });
    expect(other.status).toBe(412);
    const missing = await fetch(`${origin.endpoint}/sample/no`);
    expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining('NoSuchKey')]);
  });
});
