/** Attacks on calls between replicas with a recorded call: tampering, replay, another receiver. */
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { RecordRows } from '#cache/core/capacity/records.ts';
import { encodeReport, MAX_REPORT_BYTES } from '#cache/core/capacity/report-codec.ts';
import { encodeUsageReport, MAX_USAGE_BYTES } from '#cache/core/capacity/usage-codec.ts';
import { chunkAt } from '#cache/core/chunk.ts';
import { PEER_TERMS } from '#cache/core/peer/fill-request.ts';
import { ANY_VERSION, formatHeadTarget, formatInvalidateTarget } from '#cache/core/peer/head-request.ts';
import { formatReportTerms } from '#cache/core/peer/report-request.ts';
import { formatWarmTarget, formatWarmTerms } from '#cache/core/peer/warm-request.ts';
import { NONCE_BYTES, signRequest } from '#cache/core/peer/auth.ts';
import { formatPurgeTarget } from '#cache/core/peer/purge-request.ts';
import { http, type HttpAnswer } from '#test/support/http.ts';
import { BUCKET, ORIGIN_BUCKET, ORIGIN_ID, startReplicas, type Replicas } from '#test/support/replicas.ts';

let cache: Replicas;

beforeAll(async () => {
  cache = await startReplicas({
    replicas: 2,
    changes: { 'origin.buckets': [{ name: BUCKET, originBucket: ORIGIN_BUCKET, prefix: 'open/' }] },
  });
  await cache.put('open/a', Buffer.from('an object'));
});
afterAll(() => cache[Symbol.asyncDispose]());

const object = (key: string) => ({ originId: ORIGIN_ID, bucket: ORIGIN_BUCKET, key });
const HEAD = formatHeadTarget({ object: object('open/a'), maxAgeMs: 60_000 });
const INVALIDATE = formatInvalidateTarget({ object: object('open/a'), etag: ANY_VERSION });
const PURGE = formatPurgeTarget({ bucket: BUCKET, key: 'a' });

interface Call {
  readonly method: 'GET' | 'POST';
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** A superseded version, which replica 0 remembers. */
const READS = encodeReport({
  originId: ORIGIN_ID,
  epoch: '0123456789abcdef',
  buckets: new BucketNames(),
  reads: new RecordRows(),
  commits: [],
  superseded: [{ hex: 'ab'.repeat(32), sinceMs: 1 }],
})[0]!;
const USAGE = encodeUsageReport({
  originId: ORIGIN_ID,
  epoch: '0123456789abcdef',
  covered: [],
  bytes: 0,
  chunks: 0,
  pinnedBytes: 0,
  evictable: new Histogram(),
  byBucket: new Map(),
  isFull: false,
  lastSweepMs: undefined,
  oldestSweepMs: undefined,
  evictedBytes: { capacity: 0, idle: 0, superseded: 0, full: 0 },
});

function signedReport(target: string, body: Uint8Array): Call {
  const call = signedCall('POST', target, formatReportTerms(body));
  return { ...call, headers: { ...call.headers, 'content-length': String(body.length) }, body };
}

/** Signed as replica 1 would sign it for replica 0. */
function signedCall(method: 'GET' | 'POST', target: string, terms: Record<string, string> = PEER_TERMS): Call {
  const nonce = randomBytes(NONCE_BYTES).toString('base64url');
  const receiver = cache.all[0]!.address;
  const request = { method, target, receiver, headers: terms, body: new Uint8Array() };
  const keys = { current: cache.peerKey, previous: undefined };
  return { method, target, headers: { ...terms, ...signRequest(keys, request, Date.now(), nonce) } };
}

function send(base: string, { method, target, headers, body }: Call): Promise<HttpAnswer> {
  return http(base, target, { method, headers, ...(body !== undefined && { body }) });
}

const peer = (): string => cache.all[0]!.peer;

describe.for([
  ['head', 'GET', HEAD, 200],
  ['invalidate', 'POST', INVALIDATE, 204],
] as const)('%s', ([, method, target, status]) => {
  test('is accepted with the secret', async () => {
    const answer = await send(peer(), signedCall(method, target));
    expect(answer.status).toBe(status);
    expect(answer.headers).toHaveProperty('x-orca-proof');
  });

  test.for([
    ['another method', (call: Call): Call => ({ ...call, method: method === 'GET' ? 'POST' : 'GET' })],
    [
      'another key of the bucket',
      (call: Call): Call => ({ ...call, target: call.target.replace('open%2Fa', 'open%2Fb') }),
    ],
    ['a parameter more', (call: Call): Call => ({ ...call, target: `${call.target}&x=1` })],
    [
      'the same target, spelt otherwise',
      (call: Call): Call => ({ ...call, target: call.target.replace('%2F', '%2f') }),
    ],
    ['a term more', (call: Call): Call => ({ ...call, headers: { ...call.headers, 'x-orca-request-id': 'x' } })],
    ['no protocol', (call: Call): Call => ({ ...call, headers: { ...call.headers, 'x-orca-protocol': '' } })],
    ['a date a minute later', (call: Call): Call => ({ ...call, headers: later(call.headers, 60_000) })],
    [
      'its nonce doubled',
      (call: Call): Call => ({ ...call, headers: { ...call.headers, 'x-orca-nonce': 'A'.repeat(22) } }),
    ],
    ['half of its MAC', (call: Call): Call => ({ ...call, headers: cut(call.headers) })],
    ['many MACs', (call: Call): Call => ({ ...call, headers: { ...call.headers, 'x-orca-mac': 'AAAA,BBBB,CCCC' } })],
    ['no MAC', (call: Call): Call => ({ ...call, headers: PEER_TERMS })],
  ] as const)('with %s is rejected', async ([, change]) => {
    const answer = await send(peer(), change(signedCall(method, target)));
    expect([answer.status, answer.body.length]).toEqual([401, 0]);
    expect(answer.headers).not.toHaveProperty('x-orca-proof');
  });

  test('is good at one replica, and on one listener', async () => {
    const call = signedCall(method, target);
    expect((await send(cache.all[1]!.peer, call)).status).toBe(401);
    expect((await send(cache.all[0]!.ops, call)).status).toBe(404);
    // On the edge it is what everything is there: a bucket and a key.
    expect([404, 405]).toContain((await send(cache.all[0]!.edge, call)).status);
  });

  test.for([
    ['another prefix', 'private/key'],
    ['a key that escapes its prefix', 'open/../private/key'],
    ['a key that escapes its bucket', '../other/key'],
  ] as const)('of %s is refused even to a replica', async ([, key]) => {
    const other =
      method === 'GET'
        ? formatHeadTarget({ object: object(key), maxAgeMs: 0 })
        : formatInvalidateTarget({ object: object(key), etag: ANY_VERSION });
    expect((await send(peer(), signedCall(method, other))).status).toBe(400);
  });
});

describe('a call that changes something', () => {
  test('is done once: sent again, at once or by many, it is refused, and changes nothing', async () => {
    const known = async () => cache.all[0]!.metric('orca_origin_requests_total', { operation: 'head' });
    const call = signedCall('POST', INVALIDATE);
    expect((await send(peer(), call)).status).toBe(204);
    await http(cache.all[0]!.edge, `/${BUCKET}/a`);
    const before = await known();
    const again = await Promise.all(Array.from({ length: 20 }, () => send(peer(), call)));
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([400]));
    // What was learned since is still known.
    await http(cache.all[0]!.edge, `/${BUCKET}/a`);
    expect(await known()).toBe(before);
  });

  test('a call to warm a chunk too; one of a prefix that is not served is refused', async () => {
    const warm = (key: string, body: string): Call => {
      const etag = createHash('md5').update(body).digest('hex');
      const chunk = chunkAt({ ...object(key), etag, sizeBytes: body.length }, 8 * 1024 * 1024, 0);
      return signedCall(
        'POST',
        formatWarmTarget(chunk),
        formatWarmTerms({ rank: 2, epoch: '0123456789abcdef', knownAbsent: false }),
      );
    };
    const call = warm('open/a', 'an object');
    const first = await send(peer(), call);
    expect([first.status, JSON.parse(first.body.toString())]).toEqual([200, { state: 'stored', originBytes: 9 }]);
    expect((await send(peer(), call)).status).toBe(400);
    expect((await send(peer(), warm('private/key', 'an object'))).status).toBe(400);
    expect(
      (await send(peer(), { ...warm('open/a', 'an object'), target: call.target.replace('index=0', 'index=1') }))
        .status,
    ).toBe(401);
  });

  test('a purge too', async () => {
    const { ops } = cache.all[0]!;
    const call = signedCall('POST', PURGE, {});
    expect((await send(ops, call)).status).toBe(204);
    const again = await send(ops, call);
    expect([again.status, again.body.toString()]).toEqual([401, 'replayed request: nonce already used\n']);
    expect((await send(ops, { ...signedCall('POST', PURGE, {}), target: `${PURGE}b` })).status).toBe(401);
    expect((await send(ops, signedCall('GET', PURGE, {}))).status).toBe(404);
    // A call signed for the peer listener is rejected here, and vice versa.
    expect((await send(peer(), signedCall('POST', PURGE))).status).toBe(400);
    expect((await send(ops, { ...signedCall('POST', INVALIDATE), target: PURGE })).status).toBe(401);
    const climbing = formatPurgeTarget({ bucket: BUCKET, key: '../private/key' });
    expect((await send(ops, signedCall('POST', climbing, {}))).status).toBe(400);
  });
});

describe.for([
  ['reads', '/internal/reads', READS, MAX_REPORT_BYTES, 204],
  ['usage', '/internal/usage', USAGE, MAX_USAGE_BYTES, 200],
] as const)('a report of %s', ([, target, body, maxBytes, status]) => {
  const unchanged = Buffer.from(body);
  const other = Buffer.from(body);
  other[other.length - 1]! ^= 1;

  test('is accepted once', async () => {
    const call = signedReport(target, body);
    const answer = await send(peer(), call);
    expect(answer.status).toBe(status);
    expect(answer.headers).toHaveProperty('x-orca-proof');
    const again = await Promise.all(Array.from({ length: 20 }, () => send(peer(), call)));
    expect(new Set(again.map((one) => one.status))).toEqual(new Set([400]));
    expect(again[0]?.body.toString()).toContain('nonce already used');
  });

  test.for([
    ['another body of its length', (call: Call): Call => ({ ...call, body: other })],
    ['a shorter body', (call: Call): Call => withBody(call, unchanged.subarray(1))],
    ['an empty body', (call: Call): Call => withBody(call, new Uint8Array(0))],
    ['a longer body', (call: Call): Call => withBody(call, Buffer.concat([unchanged, unchanged]))],
    ['a query', (): Call => signedReport(`${target}?x=1`, body)],
    ['no hash of its body', (): Call => ({ ...signedCall('POST', target), body })],
    ['a body that is not a report', (): Call => signedReport(target, Buffer.from('{"covered":[0]}'))],
    ['the report of another origin', (): Call => signedReport(target, otherOrigin(body))],
  ] as const)('with %s is refused, and its sender learns that it is a replica that refuses', async ([, change]) => {
    const answer = await send(peer(), change(signedReport(target, body)));
    expect(answer.status).toBe(400);
    expect(answer.headers).toHaveProperty('x-orca-proof');
  });

  test('with a hash that was not signed is refused before its body is taken', async () => {
    const forged = signedReport(target, body);
    const headers = { ...forged.headers, ...formatReportTerms(other) };
    expect(await firstAnswer({ ...forged, headers }, '')).toBe('401');
  });

  test('from a stranger is refused before its body is taken', async () => {
    const headers = { ...formatReportTerms(body), 'content-length': String(maxBytes) };
    expect(await firstAnswer({ method: 'POST', target, headers }, '')).toBe('401');
  });

  test('that is too large, or of unknown length, is refused before its body is taken, and the connection closed', async () => {
    const call = signedReport(target, body);
    const tooLarge = { ...call, headers: { ...call.headers, 'content-length': String(maxBytes + 1) } };
    expect(await firstAnswer(tooLarge, '', 'closed')).toBe('400');
    const { 'content-length': _length, ...headers } = signedReport(target, body).headers;
    expect(await firstAnswer({ ...call, headers: { ...headers, 'transfer-encoding': 'chunked' } }, '', 'closed')).toBe(
      '400',
    );
  });

  test('whose body stops is refused in time, and others are received meanwhile', async () => {
    const slow = firstAnswer(
      signedReport(target, body),
      Buffer.from(body.subarray(0, 10)).toString('latin1'),
      'closed',
    );
    expect((await send(peer(), signedReport(target, body))).status).toBe(status);
    expect(await slow).toBe('400');
  });
});

test('peer headers on the edge have no effect', async () => {
  const headers = { ...signedCall('GET', `/${BUCKET}/a`).headers, 'x-orca-reason': 'corrupt, join' };
  const answer = await http(cache.all[0]!.edge, `/${BUCKET}/a`, { headers });
  expect(answer.body.toString()).toBe('an object');
  expect(answer.headers).not.toHaveProperty('x-orca-proof');
  expect((await http(cache.all[0]!.edge, '/internal/head')).status).toBe(404);
});

function withBody(call: Call, body: Uint8Array): Call {
  return { ...call, headers: { ...call.headers, 'content-length': String(body.length) }, body };
}

/** The same report under another origin id of the same length. */
function otherOrigin(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body).toString('latin1');
  return Buffer.from(text.replace(`"${ORIGIN_ID}"`, `"${'x'.repeat(ORIGIN_ID.length)}"`), 'latin1');
}

/** Sends the head and this part of the body; the status of the first final response. `closed`: after the connection is. */
async function firstAnswer({ target, headers }: Call, part: string, until: 'answered' | 'closed' = 'answered') {
  const { hostname, port } = new URL(peer());
  const socket = connect(Number(port), hostname);
  try {
    const lines = Object.entries({ host: `${hostname}:${port}`, ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    socket.write(`POST ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${part}`, 'latin1');
    let text = '';
    for await (const piece of socket) {
      text += String(piece);
      const status = /HTTP\/1.1 ([2-5]\d\d)/.exec(text)?.[1];
      if (until === 'answered' && status !== undefined) return status;
    }
    return /HTTP\/1.1 ([2-5]\d\d)/.exec(text)?.[1];
  } finally {
    socket.destroy();
  }
}

function later(headers: Readonly<Record<string, string>>, byMs: number): Record<string, string> {
  return { ...headers, 'x-orca-date': String(Number(headers['x-orca-date']) + byMs) };
}

function cut(headers: Readonly<Record<string, string>>): Record<string, string> {
  return { ...headers, 'x-orca-mac': (headers['x-orca-mac'] ?? '').slice(0, 21) };
}
