/** Faults of an origin, or of a proxy before it: a client gets correct bytes or a broken connection. */
import { Agent } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { patternBytes } from '#test/support/engines.ts';
import { isProbe, type Action, type Passed } from '#test/support/fault-proxy.ts';
import { createGate } from '#test/support/gate.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, ORIGIN_BUCKET, ORIGIN_ID, startReplicas, type Replicas } from '#test/support/replicas.ts';
import { until } from '#test/support/until.ts';

let cache: Replicas;
let number = 0;

beforeAll(async () => {
  cache = await startReplicas({
    readahead: 0,
    changes: { 'origin.retry': { attempts: 3, backoffInitial: '5ms', backoffMax: '1s', maxTotalDuration: '5s' } },
  });
});
// Each test has an origin without earlier failures, and empty memory.
beforeEach(() => cache.restart());
afterEach(async () => {
  cache.originProxy.reset();
  await cache.expectNothingHeld();
});
afterAll(() => cache[Symbol.asyncDispose]());

const isRead = (request: Passed): boolean => request.method === 'GET' && !isProbe(request);
const edge = (): string => cache.all[0]!.edge;

async function putObject(body: Uint8Array): Promise<{ key: string; path: string }> {
  const key = `object-${number++}.bin`;
  await cache.put(key, body);
  return { key, path: `/${BUCKET}/${key}` };
}

/** Only the correct chunks of `body` may be stored. */
async function expectStoredRight(before: ReadonlyMap<string, string>, path: string, body: Uint8Array): Promise<void> {
  const after = await cache.stored();
  const count = Math.ceil(body.length / MIB);
  expect(after.size - before.size).toBe(count);
  cache.originProxy.reset();
  cache.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 500 } });
  cache.forgetMemory();
  const warm = await http(edge(), path);
  expect(sha256(warm.body)).toBe(sha256(body));
  expect(cache.originProxy.hits).toBe(0);
}

const BODY = patternBytes(MIB + MIB / 2);
/** Bytes of the first chunk, in a response that claims to be another. */
const OTHER_RANGE = `bytes 1-${MIB}/${BODY.length}`;

/** Corrupts the responses to range reads of BODY. `status` and `code`: the client's response while the fault lasts. */
const REFUSED: readonly { name: string; action: Action; status: number; code: string }[] = [
  { name: 'a body cut in the middle', action: { kind: 'cut', afterBytes: 300_000 }, status: 0, code: '' },
  {
    name: 'a short body with a matching Content-Length',
    action: { kind: 'shorten', toBytes: 300_000, framing: 'length' },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'a short body that ends with its connection',
    action: { kind: 'shorten', toBytes: 300_000, framing: 'close' },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'a short body in chunked framing',
    action: { kind: 'shorten', toBytes: 300_000, framing: 'chunked' },
    status: 0,
    code: '',
  },
  {
    name: 'another range of the same length',
    action: { kind: 'rewrite', headers: { 'content-range': OTHER_RANGE } },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'no Content-Range at all',
    action: { kind: 'rewrite', headers: { 'content-range': undefined } },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'another total length',
    action: { kind: 'rewrite', headers: { 'content-range': `bytes 0-${MIB - 1}/${BODY.length + 1}` } },
    status: 503,
    code: 'OriginETagChanged',
  },
  {
    name: 'another ETag',
    action: { kind: 'rewrite', headers: { etag: '"0123456789abcdef0123456789abcdef"' } },
    status: 503,
    code: 'OriginETagChanged',
  },
  {
    name: 'a weak ETag',
    action: { kind: 'rewrite', headers: { etag: 'W/"0123456789abcdef0123456789abcdef"' } },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'no ETag',
    action: { kind: 'rewrite', headers: { etag: undefined } },
    status: 503,
    code: 'ServiceUnavailable',
  },
  {
    name: 'a content coding that the object is not stored with',
    action: { kind: 'rewrite', headers: { 'content-encoding': 'gzip' } },
    status: 503,
    code: 'ServiceUnavailable',
  },
  { name: 'a 500', action: { kind: 'answer', status: 500 }, status: 503, code: 'ServiceUnavailable' },
  {
    name: 'SlowDown',
    action: { kind: 'answer', status: 503, body: '<Error><Code>SlowDown</Code></Error>' },
    status: 503,
    code: 'SlowDown',
  },
];

describe.for(REFUSED)('$name', ({ action, status, code }) => {
  test('once is not seen by the client, and only right bytes are stored', async () => {
    const { path } = await putObject(BODY);
    const before = await cache.stored();
    cache.originProxy.inject({ when: isRead, times: 1, action });
    const read = await http(edge(), path);
    expect(cache.originProxy.hits).toBe(1);
    expect(read.status).toBe(200);
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(BODY));
    await cache.idle();
    await expectStoredRight(before, path, BODY);
  });

  test('permanently never looks like a complete object, and nothing is stored', async () => {
    const { path } = await putObject(BODY);
    const before = await cache.stored();
    cache.originProxy.inject({ when: isRead, action });
    const read = await http(edge(), path);
    if (status === 0) {
      // Each response has some right bytes, so that the body may complete in the end: right, or visibly broken.
      expect(read.status).toBe(200);
      expect(BODY.subarray(0, read.body.length).equals(read.body)).toBe(true);
      expect(read.complete).toBe(read.body.length === BODY.length);
      return;
    }
    expect(read.status).toBe(status);
    expect(read.body.toString()).toContain(`<Code>${code}</Code>`);
    expect(Number(read.headers['retry-after'])).toBeGreaterThan(0);
    await cache.idle();
    expect(await cache.stored()).toEqual(before);
  });
});

describe('answers that are no range', () => {
  test('the whole object with 200 for a range is refused', async () => {
    const { key, path } = await putObject(BODY);
    const before = await cache.stored();
    const head = await cache.origin.request('HEAD', ORIGIN_BUCKET, key);
    const headers = { etag: head.headers['etag'] ?? '' };
    cache.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 200, headers, body: BODY } });
    const read = await http(edge(), path, { headers: { range: 'bytes=10-19' } });
    expect(read.status).toBe(503);
    await cache.idle();
    expect(await cache.stored()).toEqual(before);
  });

  test('and accepted where the whole object was requested', async () => {
    const small = patternBytes(1_000);
    const { key, path } = await putObject(small);
    const head = await cache.origin.request('HEAD', ORIGIN_BUCKET, key);
    const headers = { etag: head.headers['etag'] ?? '' };
    cache.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 200, headers, body: small } });
    const read = await http(edge(), path);
    expect(read.body.equals(small)).toBe(true);
  });

  test('a content coding that a proxy added is refused', async () => {
    const { key, path } = await putObject(BODY);
    const before = await cache.stored();
    const head = await cache.origin.request('HEAD', ORIGIN_BUCKET, key);
    const body = gzipSync(BODY.subarray(0, MIB));
    const headers = {
      etag: head.headers['etag'] ?? '',
      'content-encoding': 'gzip',
      'content-range': `bytes 0-${MIB - 1}/${BODY.length}`,
    };
    cache.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 206, headers, body } });
    const read = await http(edge(), path);
    expect(read.status).toBe(503);
    await cache.idle();
    expect(await cache.stored()).toEqual(before);
  });
});

describe('refusals', () => {
  test.for([
    { code: 'AccessDenied', status: 403, told: 'AccessDenied' },
    { code: 'InvalidAccessKeyId', status: 502, told: 'OriginUnauthorized' },
  ])('403 $code is requested once and answered with $status $told', async ({ code, status, told }) => {
    const { path } = await putObject(BODY);
    const body = `<Error><Code>${code}</Code></Error>`;
    cache.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 403, body } });
    const read = await http(edge(), path);
    expect(read.status).toBe(status);
    expect(read.body.toString()).toContain(`<Code>${told}</Code>`);
    expect(cache.originProxy.hits).toBe(1);
  });

  test('a missing key is 404, for GET with a document and for HEAD without', async () => {
    const get = await http(edge(), `/${BUCKET}/none`);
    expect(get.status).toBe(404);
    expect(get.body.toString()).toContain('<Code>NoSuchKey</Code>');
    const head = await http(edge(), `/${BUCKET}/none`, { method: 'HEAD' });
    expect(head.status).toBe(404);
    expect(head.body).toHaveLength(0);
  });
});

describe('in the middle of a response', () => {
  test('an origin that breaks for good breaks the connection', async () => {
    const body = patternBytes(3 * MIB);
    const { path } = await putObject(body);
    const isSecond = ({ range }: { range: string | undefined }): boolean => range?.startsWith(`bytes=${MIB}-`) === true;
    cache.originProxy.inject({ when: isSecond, action: { kind: 'answer', status: 500 } });
    // On a connection that is to be kept, so that nothing but the failure can end it.
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const read = await http(edge(), path, { agent });
    expect(read.status).toBe(200);
    expect(read.headers.connection).toBe('keep-alive');
    expect(read.complete).toBe(false);
    expect(body.subarray(0, read.body.length).equals(read.body)).toBe(true);
    expect(read.body.length).toBeLessThanOrEqual(MIB);
    expect(cache.originProxy.hits).toBe(3);
  });

  test('a cut body is resumed where it broke', async () => {
    const body = patternBytes(MIB);
    const { path } = await putObject(body);
    cache.originProxy.inject({ when: isRead, times: 1, action: { kind: 'cut', afterBytes: 500_000 } });
    const read = await http(edge(), path);
    expect(sha256(read.body)).toBe(sha256(body));
    const ranges = cache.originProxy.passed.filter(isRead).map(({ range }) => range);
    expect(ranges).toHaveLength(2);
    const resumedAt = Number(/^bytes=(\d+)-/.exec(ranges[1] ?? '')?.[1]);
    expect(resumedAt).toBeGreaterThan(0);
    expect(resumedAt).toBeLessThanOrEqual(500_000);
    expect(await cache.total('orca_origin_bytes_total')).toBe(body.length);
  });

  test('a body that stalls is resumed on another connection', async () => {
    const body = patternBytes(MIB);
    const { path } = await putObject(body);
    const gate = createGate();
    gate.hold();
    cache.originProxy.inject({ when: isRead, times: 1, action: { kind: 'stall', afterBytes: 500_000, gate } });
    const read = await http(edge(), path);
    gate.release();
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(body));
    expect(cache.originProxy.passed.filter(isRead)).toHaveLength(2);
  });

  test('a request without a response is repeated', async () => {
    const body = patternBytes(1_000);
    const { path } = await putObject(body);
    const gate = createGate();
    gate.hold();
    cache.originProxy.inject({ when: isRead, times: 1, action: { kind: 'stall', afterBytes: 0, gate } });
    const read = await http(edge(), path);
    gate.release();
    expect(read.body.equals(body)).toBe(true);
    expect(cache.originProxy.passed.filter(isRead)).toHaveLength(2);
  });
});

describe('an object that changes', () => {
  test('before its first byte is read as the new one, unseen by the client', async () => {
    const { key, path } = await putObject(patternBytes(2 * MIB, 1));
    const before = await http(edge(), path, { method: 'HEAD' });
    const changed = patternBytes(2 * MIB + 5, 2);
    await cache.put(key, changed);
    const read = await http(edge(), path);
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(changed));
    expect(read.headers.etag).not.toBe(before.headers.etag);
    const now = await cache.origin.request('HEAD', ORIGIN_BUCKET, key);
    expect(read.headers.etag).toBe(now.headers['etag']);
  });

  test('during the read breaks the connection, and nothing new is stored under the old ETag', async () => {
    const old = patternBytes(3 * MIB, 3);
    const { key, path } = await putObject(old);
    const before = await cache.stored();
    const gate = createGate();
    gate.hold();
    const isSecond = ({ range }: { range: string | undefined }): boolean => range?.startsWith(`bytes=${MIB}-`) === true;
    cache.originProxy.inject({ when: isSecond, times: 1, action: { kind: 'stall', afterBytes: 0, gate } });
    const reading = http(edge(), path);
    await gate.reached();
    const changed = patternBytes(3 * MIB, 4);
    const oldHead = await http(edge(), path, { method: 'HEAD' });
    await cache.put(key, changed);
    gate.release();
    const read = await reading;
    expect(read.status).toBe(200);
    expect(read.complete).toBe(false);
    expect(old.subarray(0, read.body.length).equals(read.body)).toBe(true);
    await cache.idle();

    const etag = (oldHead.headers.etag ?? '').replaceAll('"', '');
    const object = { originId: ORIGIN_ID, bucket: ORIGIN_BUCKET, key, etag, sizeBytes: old.length };
    const added = [...(await cache.stored()).keys()].filter((name) => !before.has(name));
    expect(added).toEqual([chunkAt(object, MIB, 0).path]);
    // The old version is forgotten with its failure: the next read is of the new one.
    const next = await http(edge(), path);
    expect(sha256(next.body)).toBe(sha256(changed));
  });
});

test('a failing origin is not retried by every replica', async () => {
  await using three = await startReplicas({
    replicas: 3,
    changes: { 'origin.retry': { attempts: 3, backoffInitial: '5ms', backoffMax: '1s', maxTotalDuration: '5s' } },
  });
  await three.put('one.bin', patternBytes(1_000));
  three.originProxy.inject({ when: isRead, action: { kind: 'answer', status: 500 } });
  const reads = await Promise.all(three.all.map((replica) => http(replica.edge, `/${BUCKET}/one.bin`)));
  for (const read of reads) expect(read.status).toBe(503);
  // Three attempts of the coordinator's one fill, or of two if a request came after the first had failed.
  expect([3, 6]).toContain((await three.originProxy.counts('GET')).requests);
  await until(() => three.all.every(({ cache: { engine } }) => engine.flights.count === 0), 'no fill is left');
});
