import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeMetadata } from '#cache/core/chunk-metadata.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import type { Clock } from '#shared/clock.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { fakeClock, sleeplessClock } from '#test/support/fake-clock.ts';
import {
  reply,
  startScriptedServer,
  type Answer,
  type CapturedRequest,
  type ScriptedServer,
} from '#test/support/scripted-server.ts';
import { until } from '#test/support/until.ts';

process.env['ORCA_TEST_KEY'] = 'key';
const { signal } = new AbortController();
const body = patternBytes(100_000);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 30_000);
const meta = Object.fromEntries(
  Object.entries(encodeMetadata(metadata)).map(([name, value]) => [`x-amz-meta-${name}`, value]),
);

/** A store with these responses (or `reset`, or `silence`), one per request; the last one is repeated. */
const open = (...answers: readonly (Uint8Array | string)[]) => openWith(sleeplessClock, ...answers);

async function openWith(
  clock: Clock,
  ...answers: readonly (Uint8Array | string)[]
): Promise<{ server: ScriptedServer; store: ChunkStore }> {
  let next = 0;
  const server = await startScriptedServer((_: CapturedRequest, answer: Answer) => {
    const bytes = answers[Math.min(next++, answers.length - 1)] ?? '';
    if (bytes === 'reset') answer.reset();
    else if (bytes !== 'silence') answer.write(bytes);
  });
  const store = openS3Store({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    caFile: '',
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
    bucket: 'chunks',
    clock,
  });
  store.trustConditions(true);
  onTestFinished(async () => {
    await store.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, store };
}

const OK = reply('200 OK', {});
const fault = (status: string, code: string): Buffer => reply(status, {}, `<Error><Code>${code}</Code></Error>`);
const EXISTS = fault('412 Precondition Failed', 'PreconditionFailed');
const CONFLICT = fault('409 Conflict', 'ConditionalRequestConflict');
const ABSENT = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n';
const found = (headers: Record<string, string>, lengthBytes = body.length): string =>
  `HTTP/1.1 200 OK\r\n${Object.entries({ ...headers, 'content-length': String(lengthBytes) })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
const SAME = found(meta);
const OTHER = found({ ...meta, 'x-amz-meta-orca-crc32': '00000001' });
const sent = (server: ScriptedServer): string[] =>
  server.requests.map(({ method, headers }) => `${method}${headers['if-none-match'] === '*' ? ' if absent' : ''}`);

describe('a commit', () => {
  test('is one conditional upload with its checksum and metadata', async () => {
    const { server, store } = await open(OK);
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    expect(server.requests).toHaveLength(1);
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(metadata.crc32);
    expect(server.requests[0]).toMatchObject({
      method: 'PUT',
      target: `/chunks/${chunk.path}`,
      headers: {
        'if-none-match': '*',
        'content-length': '100000',
        'x-amz-checksum-crc32': crc.toString('base64'),
        'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
        ...meta,
        authorization: expect.stringContaining('if-none-match;x-amz-checksum-crc32;x-amz-content-sha256') as unknown,
      },
    });
    expect(server.requests[0]?.body.equals(body)).toBe(true);
  });

  test.for([
    ['412, and the store has the same chunk', [EXISTS, SAME], 'lost', ['PUT if absent', 'HEAD']],
    ['412, and the store has another chunk', [EXISTS, OTHER, OK], 'won', ['PUT if absent', 'HEAD', 'PUT']],
    ['412, and the store has one without metadata', [EXISTS, found({}), OK], 'won', ['PUT if absent', 'HEAD', 'PUT']],
    ['412, and the store has a shorter one', [EXISTS, found(meta, 5), OK], 'won', ['PUT if absent', 'HEAD', 'PUT']],
    ['412, and the chunk has been deleted', [EXISTS, ABSENT, OK], 'won', ['PUT if absent', 'HEAD', 'PUT if absent']],
    ['a reset, and the store has the same chunk', ['reset', SAME], 'lost', ['PUT if absent', 'HEAD']],
    ['a reset, and the store has another chunk', ['reset', OTHER, OK], 'won', ['PUT if absent', 'HEAD', 'PUT']],
    ['409 and then 200', [CONFLICT, OK], 'won', ['PUT if absent', 'PUT if absent']],
    [
      '501, and the store has no chunk',
      [fault('501 Not Implemented', 'NotImplemented'), ABSENT, OK],
      'won',
      ['PUT if absent', 'HEAD', 'PUT'],
    ],
    [
      '501, and the store has the same chunk',
      [fault('501 Not Implemented', 'NotImplemented'), SAME],
      'lost',
      ['PUT if absent', 'HEAD'],
    ],
  ] as const)('answered with %s is %s', async ([, answers, outcome, requests]) => {
    const { server, store } = await open(...answers);
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe(outcome);
    expect(sent(server)).toEqual(requests);
  });

  test.for([
    ['a reset, and the store has no chunk', ['reset', ABSENT], undefined, ['PUT if absent', 'HEAD']],
    ['403', [fault('403 Forbidden', 'AccessDenied')], 403, ['PUT if absent']],
    ['a missing bucket', [fault('404 Not Found', 'NoSuchBucket')], 404, ['PUT if absent']],
    ['404 without an error code', [ABSENT], 404, ['PUT if absent']],
    ['a bad checksum', [fault('400 Bad Request', 'BadDigest')], 400, ['PUT if absent']],
    ['500', [fault('500 Oops', 'InternalError')], 500, ['PUT if absent']],
    ['503', [fault('503 Slow Down', 'SlowDown')], 503, ['PUT if absent']],
    [
      '412, and the query fails',
      [EXISTS, 'HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n'],
      500,
      ['PUT if absent', 'HEAD'],
    ],
    ['409 every time', [CONFLICT], 409, Array.from({ length: 5 }, () => 'PUT if absent')],
  ] as const)('answered with %s is store_unavailable, with its status', async ([, answers, status, requests]) => {
    const { server, store } = await open(...answers);
    await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
      status,
    });
    expect(sent(server)).toEqual(requests);
  });

  test('to a store that does not support the condition queries first from then on', async () => {
    const { server, store } = await open(fault('501 Not Implemented', 'NotImplemented'), ABSENT, OK, SAME);
    await store.commit(chunk, metadata, pieces, { signal });
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
    expect(sent(server)).toEqual(['PUT if absent', 'HEAD', 'PUT', 'HEAD']);
  });

  test('that repairs a chunk is one unconditional upload', async () => {
    const { server, store } = await open(OK);
    expect(await store.commit(chunk, metadata, pieces, { signal, overwrite: true })).toBe('won');
    expect(sent(server)).toEqual(['PUT']);
    expect(server.requests[0]?.headers).toHaveProperty('x-amz-checksum-crc32');
  });

  test('that is aborted while it waits after a 409 is cancelled', async () => {
    const aborter = new AbortController();
    const clock = fakeClock();
    const { store } = await openWith(clock, CONFLICT);
    const committing = store.commit(chunk, metadata, pieces, { signal: aborter.signal });
    await until(() => clock.pending() > 0, 'the commit waits');
    aborter.abort();
    await expect(committing).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('that is not answered in time is store_unavailable', async () => {
    const { store } = await open('silence');
    await expect(store.commit(chunk, metadata, pieces, { signal, firstByteTimeoutMs: 30 })).rejects.toMatchObject({
      code: 'store_unavailable',
      cause: { failure: 'first_byte' },
    });
  });
});

describe('a read', () => {
  const range = { from: 10, to: 20 };
  const TEN = body.subarray(10, 20);
  const part = (headers: Record<string, string>, bytes: Uint8Array = TEN): Buffer =>
    reply('206 Partial Content', { 'content-range': 'bytes 10-19/100000', ...meta, ...headers }, bytes);

  test('is one ranged request that reports the metadata before the first byte', async () => {
    const { server, store } = await open(part({}));
    const sink = collectSink();
    const told: unknown[] = [];
    await store.read(chunk, range, sink, (info) => told.push(info, sink.lengthBytes), { signal });
    expect(told).toEqual([metadata, 0]);
    expect(sink.bytes().equals(TEN)).toBe(true);
    expect(server.requests).toMatchObject([
      { method: 'GET', target: `/chunks/${chunk.path}`, headers: { range: 'bytes=10-19' } },
    ]);
  });

  test.for([
    ['another total', part({ 'content-range': 'bytes 10-19/99999' }), 'chunk_bad'],
    ['another ETag', part({ 'x-amz-meta-orca-etag': Buffer.from('other').toString('base64url') }), 'chunk_bad'],
    ['metadata of another length', part({ 'x-amz-meta-orca-length': '99999' }), 'chunk_bad'],
    ['metadata that contradict themselves', part({ 'x-amz-meta-orca-blocks': 'AAAA' }), 'chunk_bad'],
    ["a range that it can't satisfy", fault('416 Range Not Satisfiable', 'InvalidRange'), 'chunk_bad'],
    ['the whole of a shorter chunk', reply('200 OK', meta, TEN), 'chunk_bad'],
    ['the whole chunk', reply('200 OK', meta, body), 'store_unavailable'],
    ['another range', part({ 'content-range': 'bytes 9-18/100000' }), 'store_unavailable'],
    ['a range with another end', part({ 'content-range': 'bytes 10-20/100000' }), 'store_unavailable'],
    ['a shorter range', part({ 'content-range': 'bytes 10-18/100000' }, TEN.subarray(1)), 'store_unavailable'],
    ['another length', part({}, TEN.subarray(1)), 'store_unavailable'],
    ['a content coding', part({ 'content-encoding': 'gzip' }), 'store_unavailable'],
    ['no Content-Range', reply('206 Partial Content', meta, TEN), 'store_unavailable'],
    ['no key', fault('404 Not Found', 'NoSuchKey'), 'chunk_missing'],
    ['no bucket', fault('404 Not Found', 'NoSuchBucket'), 'store_unavailable'],
    ['403', fault('403 Forbidden', 'AccessDenied'), 'store_unavailable'],
    ['503', fault('503 Slow Down', 'SlowDown'), 'store_unavailable'],
    ['a reset', 'reset', 'store_unavailable'],
  ] as const)('answered with %s puts nothing into the sink', async ([, bytes, code]) => {
    const { store } = await open(bytes);
    const sink = collectSink();
    await expect(store.read(chunk, range, sink, () => undefined, { signal })).rejects.toMatchObject({ code });
    expect(sink.lengthBytes).toBe(0);
  });

  test('may get 200 for the whole chunk', async () => {
    const { store } = await open(reply('200 OK', meta, body));
    const sink = collectSink();
    await store.read(chunk, { from: 0, to: body.length }, sink, () => undefined, { signal });
    expect(sink.bytes().equals(body)).toBe(true);
  });

  test('with metadata in a later format checks the length only', async () => {
    const { store } = await open(part({ 'x-amz-meta-orca-version': '99' }));
    const told: unknown[] = [];
    await store.read(chunk, range, collectSink(), (info) => told.push(info), { signal });
    expect(told).toEqual([undefined]);
  });
});

describe('a small object', () => {
  test('is not overwritten with ifAbsent', async () => {
    const { server, store } = await open(EXISTS, reply('200 OK', {}, 'theirs'));
    expect(await store.putSmall('_orca/identity/x', Buffer.from('ours'), { signal, ifAbsent: true })).toBe('lost');
    expect(sent(server)).toEqual(['PUT if absent', 'GET']);
  });

  test('counts as written if the response was lost and the store has the same bytes', async () => {
    const { store } = await open('reset', reply('200 OK', {}, 'ours'));
    expect(await store.putSmall('_orca/identity/x', Buffer.from('ours'), { signal, ifAbsent: true })).toBe('won');
  });

  test('that is far too large is rejected', async () => {
    const { store } = await open(reply('200 OK', {}, Buffer.alloc(17 * 1024 * 1024)));
    await expect(store.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('in a missing bucket is store_unavailable, not a missing object', async () => {
    const { store } = await open(fault('404 Not Found', 'NoSuchBucket'));
    await expect(store.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(store.deleteSmall('_orca/identity/x', { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  });
});

describe('a store that does not know CRC-32', () => {
  const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('base64');
  const refusal = (status: string, code: string, message: string): Buffer =>
    reply(status, {}, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);

  test.for([
    ['Backblaze', refusal('400 Bad Request', 'InvalidArgument', "Unsupported header 'x-amz-checksum-crc32' received")],
    ['Google', refusal('400 Bad Request', 'ExcessHeaderValues', 'Multiple HTTP header values')],
    ['others', refusal('501 Not Implemented', 'NotImplemented', "Header 'x-amz-checksum-crc32' not implemented")],
  ] as const)('(%s) gets an MD5, from then on with every upload', async ([, refused]) => {
    const { server, store } = await open(refused, OK, OK);
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    const checksums = server.requests.map(({ headers }) => [
      headers['x-amz-checksum-crc32'] !== undefined,
      headers['content-md5'],
    ]);
    expect(checksums).toEqual([
      [true, undefined],
      [false, md5(body)],
      [false, md5(body)],
    ]);
    expect(
      server.requests.every(({ headers, body: sentBody }) => headers['if-none-match'] === '*' && sentBody.equals(body)),
    ).toBe(true);
  });

  test('and does not know the condition either gets both answers right', async () => {
    const unknown = fault('501 Not Implemented', 'NotImplemented');
    const { server, store } = await open(unknown, ABSENT, unknown, OK);
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    expect(sent(server)).toEqual(['PUT if absent', 'HEAD', 'PUT', 'PUT']);
  });

  test('an upload that is refused with both checksums is an error, and the next one has a CRC-32', async () => {
    const bad = fault('400 Bad Request', 'InvalidRequest');
    const { server, store } = await open(bad, bad, OK);
    await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await store.commit(chunk, metadata, pieces, { signal });
    expect(server.requests[2]?.headers).toHaveProperty('x-amz-checksum-crc32');
  });

  test('a body that arrived damaged is not sent again with another checksum', async () => {
    const { server, store } = await open(fault('400 Bad Request', 'BadDigest'), OK);
    await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(server.requests).toHaveLength(1);
  });
});

test('a chunk in the chunked coding is read, with the checks of any other', async () => {
  const size = body.length.toString(16);
  const head = `HTTP/1.1 206 Partial Content\r\n${Object.entries(meta)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}content-range: bytes 0-${body.length - 1}/${body.length}\r\ntransfer-encoding: chunked\r\n\r\n`;
  const { store } = await open(Buffer.concat([Buffer.from(`${head}${size}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]));
  const sink = collectSink();
  await store.read(chunk, { from: 0, to: body.length }, sink, () => {}, { signal });
  expect(sink.bytes().equals(body)).toBe(true);
});

test('a small object in the chunked coding is read; one without a length is refused', async () => {
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nours\r\n0\r\n\r\n';
  const { store } = await open(chunked);
  expect(Buffer.from((await store.getSmall('_orca/identity/x', { signal }))!).toString()).toBe('ours');
  const server = await startScriptedServer((_, answer) => {
    answer.write('HTTP/1.1 200 OK\r\n\r\nours');
    answer.end();
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const other = openS3Store({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    caFile: '',
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
    bucket: 'chunks',
  });
  onTestFinished(() => other.close());
  await expect(other.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
});
