/** Attacks on calls between replicas with a recorded call: tampering, replay, another receiver. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PEER_TERMS } from '#cache/core/peer/fill-request.ts';
import { ANY_VERSION, formatHeadTarget, formatInvalidateTarget } from '#cache/core/peer/head-request.ts';
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
}

/** Signed as replica 1 would sign it for replica 0. */
function signedCall(method: 'GET' | 'POST', target: string, terms: Record<string, string> = PEER_TERMS): Call {
  const nonce = randomBytes(NONCE_BYTES).toString('base64url');
  const receiver = cache.all[0]!.address;
  const request = { method, target, receiver, headers: terms, body: new Uint8Array() };
  const keys = { current: cache.peerKey, previous: undefined };
  return { method, target, headers: { ...terms, ...signRequest(keys, request, Date.now(), nonce) } };
}

function send(base: string, { method, target, headers }: Call): Promise<HttpAnswer> {
  return http(base, target, { method, headers });
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

test('peer headers on the edge have no effect', async () => {
  const headers = { ...signedCall('GET', `/${BUCKET}/a`).headers, 'x-orca-reason': 'corrupt, join' };
  const answer = await http(cache.all[0]!.edge, `/${BUCKET}/a`, { headers });
  expect(answer.body.toString()).toBe('an object');
  expect(answer.headers).not.toHaveProperty('x-orca-proof');
  expect((await http(cache.all[0]!.edge, '/internal/head')).status).toBe(404);
});

function later(headers: Readonly<Record<string, string>>, byMs: number): Record<string, string> {
  return { ...headers, 'x-orca-date': String(Number(headers['x-orca-date']) + byMs) };
}

function cut(headers: Readonly<Record<string, string>>): Record<string, string> {
  return { ...headers, 'x-orca-mac': (headers['x-orca-mac'] ?? '').slice(0, 21) };
}
