/** Calls between replicas: views that differ, and a fill call that accepts only authenticated requests. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { formatFillTarget, formatFillTerms } from '#cache/core/peer/fill-request.ts';
import { NONCE_BYTES, PROOF_HEADER, signRequest, verifyAnswer } from '#cache/core/peer/auth.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerAddress } from '#cache/core/peer-set.ts';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256, type HttpAnswer } from '#test/support/http.ts';
import { BUCKET, MIB, ORIGIN_BUCKET, ORIGIN_ID, startReplicas, type Replicas } from '#test/support/replicas.ts';

describe('views that differ', () => {
  test('get 409 and a local fill: right bytes, and no request is forwarded twice', async () => {
    // The first knows all replicas; each other one knows itself and missing replicas that own half of its chunks.
    await using cache = await startReplicas({
      replicas: 3,
      peersOf: (index, addresses) =>
        index === 0 ? addresses : [addresses[index]!, '127.0.0.1:7', '127.0.0.1:8', '127.0.0.1:9'],
    });
    const body = patternBytes(24 * MIB);
    await cache.put('a', body);
    const read = await http(cache.all[0]!.edge, `/${BUCKET}/a`);
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(body));
    const first = cache.all[0]!;
    expect(await first.metric('orca_source_fallbacks_total', { reason: 'not_coordinator' })).toBeGreaterThan(0);
    expect(await cache.total('orca_peer_requests_total', { outcome: 'not_coordinator' })).toBeGreaterThan(0);
    // A replica that was called and is not the coordinator has called no other replica.
    for (const other of cache.all.slice(1)) expect(await other.metric('orca_source_fallbacks_total')).toBe(0);
    await cache.idle();
    expect((await cache.stored()).size).toBe(24);
    await cache.expectNothingHeld();
  });

  test('of replicas that know only themselves cost origin reads, and no wrong byte', async () => {
    await using cache = await startReplicas({ replicas: 3, peersOf: (index, addresses) => [addresses[index]!] });
    const body = patternBytes(3 * MIB);
    await cache.put('a', body);
    const reads = await Promise.all(cache.all.map((replica) => http(replica.edge, `/${BUCKET}/a`)));
    for (const read of reads) expect(sha256(read.body)).toBe(sha256(body));
    await cache.idle();
    // Exactly one of them has won each commit.
    expect(await cache.total('orca_committed_bytes_total')).toBe(body.length);
    expect((await cache.stored()).size).toBe(3);
  });
});

test('a replica that has stopped is passed by, and its chunks are filled by the runner-up once', async () => {
  await using cache = await startReplicas({ replicas: 3 });
  const body = patternBytes(12 * MIB);
  await cache.put('a', body);
  await cache.all[2]!.stop();
  const reads = await Promise.all([0, 1, 0, 1].map((index) => http(cache.all[index]!.edge, `/${BUCKET}/a`)));
  for (const read of reads) expect(sha256(read.body)).toBe(sha256(body));
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(body.length);
});

describe('GET /internal/fill', () => {
  const BODY = patternBytes(MIB);
  let cache: Replicas;
  let target: string;
  /** Which of them owns the chunk. */
  let owner: number;
  let etag: string;

  beforeAll(async () => {
    cache = await startReplicas({ replicas: 3 });
    await cache.put('a', BODY);
    const head = await cache.origin.request('HEAD', ORIGIN_BUCKET, 'a');
    etag = (head.headers['etag'] ?? '').replaceAll('"', '');
    const object = { originId: ORIGIN_ID, bucket: ORIGIN_BUCKET, key: 'a', etag, sizeBytes: BODY.length };
    const chunk = chunkAt(object, MIB, 0);
    target = formatFillTarget({ chunk, range: { from: 0, to: MIB } });
    const addresses = cache.all.map(({ address }) => address as PeerAddress);
    owner = addresses.indexOf(rankPeers(chunk.path, addresses, 1)[0]!);
  });
  afterAll(() => cache[Symbol.asyncDispose]());

  interface Asked {
    readonly answer: HttpAnswer;
    readonly nonce: string;
  }

  function terms(): Record<string, string> {
    return formatFillTerms({ rank: 1, epoch: '0123456789abcdef', demand: 'new', deadlineMs: 5_000, reason: 'miss' });
  }

  /** `signedFor`: the receiver that the MAC names, where that is another than the called replica. */
  async function ask(
    index: number,
    options: {
      readonly method?: string;
      readonly target?: string;
      readonly signedFor?: number;
      readonly key?: Uint8Array;
      readonly headers?: Record<string, string>;
      readonly tampered?: Record<string, string>;
      readonly sent?: string;
      readonly nowMs?: number;
    } = {},
  ): Promise<Asked> {
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    const headers = { ...terms(), ...options.headers };
    const signed = signRequest(
      { current: options.key ?? cache.peerKey, previous: undefined },
      {
        method: options.method ?? 'GET',
        target: options.target ?? target,
        receiver: cache.all[options.signedFor ?? index]!.address,
        headers,
        body: new Uint8Array(),
      },
      options.nowMs ?? Date.now(),
      nonce,
    );
    const answer = await http(cache.all[index]!.peer, options.sent ?? options.target ?? target, {
      method: options.method ?? 'GET',
      headers: { ...headers, ...signed, ...options.tampered },
    });
    return { answer, nonce };
  }

  test('answers its owner’s bytes with a proof', async () => {
    const { answer, nonce } = await ask(owner);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(BODY)).toBe(true);
    const proof = answer.headers[PROOF_HEADER];
    const proved = { nonce, status: 200, lengthBytes: MIB, etag, reason: '' };
    const keys = { current: cache.peerKey, previous: undefined };
    expect(verifyAnswer(keys, proved, proof as string)).toBe(true);
  });

  test('without a MAC is 401, and counted', async () => {
    const before = await cache.all[owner]!.metric('orca_peer_requests_total', { outcome: 'unauthorized' });
    const answer = await http(cache.all[owner]!.peer, target, { headers: terms() });
    expect(answer.status).toBe(401);
    expect(answer.body).toHaveLength(0);
    const after = await cache.all[owner]!.metric('orca_peer_requests_total', { outcome: 'unauthorized' });
    expect(after).toBe(before + 1);
  });

  test.for([
    ['by another key', { key: randomBytes(32) }],
    ['of another target', { sent: '/internal/fill?origin_id=other' }],
    ['with another rank', { tampered: { 'x-orca-rank': '2' } }],
    ['with a header more', { tampered: { 'x-orca-reason': 'not_stored' } }],
    ['with another nonce', { tampered: { 'x-orca-nonce': 'AAAAAAAAAAAAAAAAAAAAAA' } }],
    ['of ten minutes ago', { nowMs: Date.now() - 10 * 60_000 }],
    ['of ten minutes ahead', { nowMs: Date.now() + 10 * 60_000 }],
    ['that is no MAC', { tampered: { 'x-orca-mac': 'AAAA' } }],
  ] as const)('with a MAC %s is 401', async ([, options]) => {
    const { answer } = await ask(owner, options);
    expect(answer.status).toBe(401);
    expect(answer.body).toHaveLength(0);
  });

  test('replayed at another replica is 401', async () => {
    const other = (owner + 1) % 3;
    const { answer } = await ask(other, { signedFor: owner });
    expect(answer.status).toBe(401);
  });

  test('at a replica that is not in charge is 409 with the owner', async () => {
    const { answer } = await ask((owner + 1) % 3);
    expect(answer.status).toBe(409);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      reason: 'not_coordinator',
      owner: cache.all[owner]!.address,
    });
  });

  const MALFORMED: readonly (readonly [string, () => string])[] = [
    ['another path', () => '/internal/other'],
    ['no query', () => '/internal/fill'],
    ['another origin', () => target.replace(`origin_id=${ORIGIN_ID}`, 'origin_id=other')],
    ['a bucket that is not served', () => target.replace(`bucket=${ORIGIN_BUCKET}`, 'bucket=secret')],
    ['a chunk behind the object', () => target.replace('index=0', 'index=7')],
    ['a chunk size that no configuration has', () => target.replace(`chunk_size=${MIB}`, 'chunk_size=1000')],
    [
      'a chunk size larger than a quarter of the budget',
      () => target.replace(`chunk_size=${MIB}`, `chunk_size=${MIB * 65}`),
    ],
    ['a number in another spelling', () => target.replace('index=0', 'index=00')],
    ['a parameter twice', () => `${target}&index=0`],
    ['an unknown parameter', () => `${target}&more=1`],
    ['half a range', () => `${target}&from=0`],
    ['a range outside the chunk', () => `${target}&from=0&to=${MIB + 1}`],
  ];
  test.for(MALFORMED)('with %s is 400, with a proof', async ([, malformed]) => {
    const { answer, nonce } = await ask(owner, { target: malformed() });
    expect(answer.status).toBe(400);
    const body = answer.body.toString();
    const proved = { nonce, status: 400, lengthBytes: answer.body.length, etag: '', reason: body };
    const keys = { current: cache.peerKey, previous: undefined };
    const proof = answer.headers[PROOF_HEADER] as string;
    expect([etag, ''].some((known) => verifyAnswer(keys, { ...proved, etag: known }, proof))).toBe(true);
  });

  test('in another protocol is 409', async () => {
    const { answer } = await ask(owner, { headers: { 'x-orca-protocol': '99' } });
    expect(answer.status).toBe(409);
  });

  test('takes no other method', async () => {
    const { answer } = await ask(owner, { method: 'POST' });
    expect(answer.status).toBe(400);
  });
});
