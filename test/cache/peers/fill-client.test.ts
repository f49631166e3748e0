import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import {
  decodeUsageReport,
  encodeUsageAnswer,
  type UsageAnswer,
  type UsageReport,
} from '#cache/core/capacity/usage-codec.ts';
import { chunkAt } from '#cache/core/chunk.ts';
import { peerAddress } from '#cache/core/peer-set.ts';
import {
  PROOF_HEADER,
  proveAnswer,
  verifyRequest,
  type PeerKeys,
  type RequestVerification,
} from '#cache/core/peer/auth.ts';
import { parseFillQuery, parseFillTerms } from '#cache/core/peer/fill-request.ts';
import { isSignedBody } from '#cache/core/peer/report-request.ts';
import type { FillRequest, PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const MIB = 1024 * 1024;
const NOW = Date.UTC(2026, 0, 1);
const KEYS: PeerKeys = { current: Buffer.alloc(32, 1), previous: undefined };
const NEW_KEYS: PeerKeys = { current: Buffer.alloc(32, 2), previous: KEYS.current };
const ONLY_NEW_KEYS: PeerKeys = { current: NEW_KEYS.current, previous: undefined };
/** Deadlines are real time here: short where a test waits for them, long where a busy machine must not reach them. */
const SHORT_MS = 150;
const LONG_MS = 5000;

const OBJECT = { originId: 'o', bucket: 'b', key: 'a b/(ä)+%', etag: 'e"1', sizeBytes: 10 * MIB };
const CHUNK = chunkAt(OBJECT, 8 * MIB, 1);
const REQUEST: FillRequest = {
  chunk: CHUNK,
  range: { from: 10, to: 5010 },
  rank: 1,
  epoch: '0123456789abcdef',
  demand: 'new',
  deadlineMs: 20_000,
  reason: 'miss',
};
const BYTES = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31 + 17) & 0xff));

const USAGE: UsageReport = {
  originId: 'o',
  epoch: REQUEST.epoch,
  covered: [0, 255],
  bytes: 3,
  chunks: 2,
  pinnedBytes: 1,
  evictable: new Histogram(),
  byBucket: new Map([['b', 3]]),
  isFull: true,
  lastSweepMs: NOW,
  oldestSweepMs: undefined,
  evictedBytes: { capacity: 4, idle: 3, superseded: 2, full: 1 },
};
const ANSWER: UsageAnswer = {
  account: {
    state: 'ok',
    usedBytes: 3,
    chunks: 2,
    pinnedBytes: 1,
    capacityBytes: 10,
    foreignBytes: 0,
    byBucket: new Map([['b', 3]]),
    byAge: [{ upToMinutes: null, bytes: 3 }],
    oldestReadMinute: 5,
    lastSweepMs: NOW,
    oldestSweepMs: NOW,
    coveredShards: 256,
  },
  urgent: true,
};

type FillOptions = Parameters<PeerClient['fill']>[3];

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly verdict: RequestVerification;
  /** Sends a response with a valid proof. */
  readonly answer: (status: number, body?: Buffer | string, headers?: Record<string, string>) => void;
}

interface PeerOptions {
  /** The peer's keys. */
  readonly keys?: PeerKeys;
  /** The client's keys; `none` = no keys. */
  readonly clientKeys?: PeerKeys | 'none';
  readonly deadAfterMs?: number;
  /** That the proofs cover. Default: the one of the object. */
  readonly etag?: string;
}

/** A scripted peer on loopback, and a client that calls it. */
async function peer(handle: (call: Call) => void, options: PeerOptions = {}) {
  const keys = options.keys ?? KEYS;
  const seen: Call[] = [];
  const server: Server = createServer((request, response) => {
    const { method = '', url: target = '', headers } = request;
    const verdict = verifyRequest(keys, { method, target, receiver: address, headers, body: new Uint8Array() }, NOW);
    const call: Call = {
      request,
      response,
      verdict,
      answer(status, body = '', extra = {}) {
        const bytes = Buffer.from(body);
        const reason =
          status === 200 && options.etag !== ''
            ? ''
            : status === 204
              ? (extra['x-orca-chunk'] ?? '')
              : bytes.toString('utf8');
        const proof = verdict.ok
          ? proveAnswer(verdict.key, {
              nonce: verdict.nonce,
              status,
              lengthBytes: bytes.length,
              etag: options.etag ?? OBJECT.etag,
              reason,
            })
          : '';
        response.writeHead(status, {
          [PROOF_HEADER]: proof,
          ...(status === 204 ? {} : { 'content-length': String(bytes.length) }),
          ...extra,
        });
        response.end(bytes);
      },
    };
    seen.push(call);
    handle(call);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address: PeerAddress = peerAddress('127.0.0.1', (server.address() as AddressInfo).port);
  const clock = fakeClock(NOW);
  const clientKeys = options.clientKeys ?? KEYS;
  const client = openFillClient({
    keys: () => (clientKeys === 'none' ? undefined : clientKeys),
    clock,
    deadAfterMs: options.deadAfterMs ?? LONG_MS,
  });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(async () => {
    await client.close();
    await stop();
  });
  const sink = collectSink();
  const fill = (request: Partial<FillRequest> = {}, call: Partial<FillOptions> = {}) =>
    client.fill(address, { ...REQUEST, ...request }, sink, { signal: new AbortController().signal, ...call });
  return { address, clock, client, fill, seen, sink, stop };
}

describe('a fill request', () => {
  test('contains the chunk, its range and the terms, and is signed for this receiver', async () => {
    const { fill, seen } = await peer(({ answer }) => answer(200, BYTES));
    await fill({ rank: 2, reason: 'not_stored', demand: 'started' }, { requestId: 'r 1' });
    const { request, verdict } = seen[0] ?? {};
    const query = request?.url?.replace(/^[^?]*\?/, '') ?? '';
    expect(parseFillQuery(query, { maxChunkSizeBytes: 8 * MIB })).toEqual({ chunk: CHUNK, range: REQUEST.range });
    expect(parseFillTerms(request?.headers ?? {})).toMatchObject({
      rank: 2,
      reason: 'not_stored',
      demand: 'started',
      deadlineMs: 20_000,
    });
    expect(request?.headers['x-orca-request-id']).toBe('r_1');
    expect(verdict?.ok).toBe(true);
  });

  test('has a new nonce each time', async () => {
    const { fill, seen } = await peer(({ answer }) => answer(204, '', { 'x-orca-chunk': 'stored' }));
    await fill();
    await fill();
    expect(new Set(seen.map(({ request }) => request.headers['x-orca-nonce'])).size).toBe(2);
  });

  test('is signed with both keys during a rotation, and either proves the response', async () => {
    const { fill, seen } = await peer(({ answer }) => answer(200, BYTES), { clientKeys: NEW_KEYS });
    await expect(fill()).resolves.toEqual({ kind: 'bytes' });
    expect(String(seen[0]?.request.headers['x-orca-mac']).split(',')).toHaveLength(2);
  });

  test.for([
    ['a client with the new and the previous key, by a peer with the previous one', NEW_KEYS, KEYS],
    ['a client with the new and the previous key, by a peer with the new one', NEW_KEYS, ONLY_NEW_KEYS],
    ['a client with the new and the previous key, by a peer with both', NEW_KEYS, NEW_KEYS],
    ['a client with the previous key, by a peer with both', KEYS, NEW_KEYS],
    ['a client with the new key, by a peer with both', ONLY_NEW_KEYS, NEW_KEYS],
  ] as const)('is accepted from %s', async ([, clientKeys, keys]) => {
    const { fill, sink } = await peer(({ answer }) => answer(200, BYTES), { clientKeys, keys });
    await expect(fill()).resolves.toEqual({ kind: 'bytes' });
    expect(sink.bytes()).toEqual(BYTES);
  });

  test('has no MAC and needs no proof without keys', async () => {
    const { fill, seen, sink } = await peer(
      ({ response }) => response.writeHead(200, { 'content-length': '5000' }).end(BYTES),
      { clientKeys: 'none' },
    );
    await expect(fill()).resolves.toEqual({ kind: 'bytes' });
    expect(sink.bytes()).toEqual(BYTES);
    expect(seen[0]?.request.headers['x-orca-mac']).toBeUndefined();
  });
});

describe('a response', () => {
  test('200 puts the bytes into the sink', async () => {
    const { fill, sink } = await peer(({ answer }) => answer(200, BYTES));
    await expect(fill()).resolves.toEqual({ kind: 'bytes' });
    expect(sink.bytes()).toEqual(BYTES);
  });

  test.for([
    [{ 'x-orca-source': 'memory' }, 'memory'],
    [{ 'x-orca-source': 'store' }, 'store'],
    [{ 'x-orca-source': 'flight' }, 'flight'],
    [{ 'x-orca-source': 'elsewhere' }, 'flight'],
    [{}, 'flight'],
  ] as const)('200 with %j reports its source before the first byte', async ([headers, source]) => {
    const { fill, sink } = await peer(({ answer }) => answer(200, BYTES, headers));
    const seen: [string, number][] = [];
    await fill({}, { onSource: (source) => seen.push([source, sink.lengthBytes]) });
    expect(seen).toEqual([[source, 0]]);
  });

  test('204 stored', async () => {
    const { fill } = await peer(({ answer }) => answer(204, '', { 'x-orca-chunk': 'stored' }));
    await expect(fill()).resolves.toEqual({ kind: 'stored' });
  });

  test('409 names the owner in the peer’s view', async () => {
    const body = JSON.stringify({ reason: 'not_coordinator', owner: '10.0.0.9:8444', epoch: 'ffff' });
    const { fill } = await peer(({ answer }) => answer(409, body));
    await expect(fill()).resolves.toEqual({ kind: 'not_coordinator', owner: '10.0.0.9:8444', epoch: 'ffff' });
  });

  test('409 with a malformed owner address has no owner', async () => {
    const body = JSON.stringify({ reason: 'not_coordinator', owner: 'http://evil/', epoch: 'ffff' });
    const { fill } = await peer(({ answer }) => answer(409, body));
    await expect(fill()).resolves.toEqual({ kind: 'not_coordinator', owner: undefined, epoch: 'ffff' });
  });

  test.for([
    [412, '{"reason":"object_changed"}', {}, { code: 'object_changed' }],
    [404, '{"code":"not_found","message":"gone"}', {}, { code: 'not_found' }],
    [502, '{"code":"origin_denied","message":"403"}', {}, { code: 'origin_denied' }],
    [503, '{"code":"origin_throttled"}', { 'retry-after': '3' }, { code: 'origin_throttled', retryAfterMs: 3000 }],
    [503, '{"code":"overloaded"}', { 'retry-after': '1' }, { code: 'overloaded', retryAfterMs: 1000 }],
    [502, '{"code":"internal"}', {}, { code: 'peer_unavailable', status: 502 }],
    [500, '', {}, { code: 'peer_unavailable', status: 500 }],
    [400, '{"code":"bad_request"}', {}, { code: 'peer_unavailable', status: 400 }],
    [401, '', {}, { code: 'peer_unavailable', status: 401 }],
    [204, '', { 'x-orca-chunk': 'none' }, { code: 'peer_unavailable', status: 204 }],
    [204, '', {}, { code: 'peer_unavailable', status: 204 }],
    [409, '{"reason":"other"}', {}, { code: 'peer_unavailable', status: 409 }],
    [301, '', { location: 'http://x/' }, { code: 'peer_unavailable', status: 301 }],
  ] as const)('%i %s %j', async ([status, body, headers, expected]) => {
    const { fill, sink } = await peer(({ answer }) => answer(status, body, headers));
    await expect(fill()).rejects.toMatchObject(expected);
    expect(sink.lengthBytes).toBe(0);
  });
});

describe('a response that is not accepted', () => {
  const impostor: PeerOptions = { keys: { current: Buffer.alloc(32, 9), previous: undefined } };

  test.for([
    [200, BYTES, {}],
    [204, '', { 'x-orca-chunk': 'stored' }],
    [409, '{"reason":"not_coordinator","owner":"10.0.0.9:8444","epoch":"f"}', {}],
    [412, '{"reason":"object_changed"}', {}],
    [404, '{"code":"not_found"}', {}],
    [503, '{"code":"overloaded"}', {}],
  ] as const)('a %i from a server without our key', async ([status, body, headers]) => {
    const { fill, sink, seen } = await peer(({ answer }) => answer(status, body, headers), impostor);
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(sink.lengthBytes).toBe(0);
    expect(seen[0]?.verdict).toEqual({ ok: false, reason: 'mismatch' });
  });

  test('a body with the proof of another body', async () => {
    const { fill } = await peer(({ response, verdict }) => {
      if (!verdict.ok) throw new Error('not accepted');
      const proved = '{"code":"not_found"}';
      const answer = {
        nonce: verdict.nonce,
        status: 404,
        lengthBytes: proved.length,
        etag: OBJECT.etag,
        reason: proved,
      };
      response.writeHead(404, { [PROOF_HEADER]: proveAnswer(verdict.key, answer) }).end('{"code":"not_fount"}');
    });
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
  });

  test('bytes of another version', async () => {
    const { fill, sink } = await peer(({ response, verdict }) => {
      if (!verdict.ok) throw new Error('not accepted');
      const answer = { nonce: verdict.nonce, status: 200, lengthBytes: 5000, etag: 'other', reason: '' };
      response
        .writeHead(200, { 'content-length': '5000', [PROOF_HEADER]: proveAnswer(verdict.key, answer) })
        .end(BYTES);
    });
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(sink.lengthBytes).toBe(0);
  });

  test.for([
    ['a shorter body', (call: Call) => call.answer(200, BYTES.subarray(1))],
    ['a longer body', (call: Call) => call.answer(200, Buffer.concat([BYTES, BYTES]))],
    ['a body without a length', (call: Call) => call.response.writeHead(200).end(BYTES)],
    ['a compressed body', (call: Call) => call.answer(200, BYTES, { 'content-encoding': 'gzip' })],
    ['a 206', (call: Call) => call.answer(206, BYTES)],
  ] as const)('%s', async ([, handle]) => {
    const { fill, sink } = await peer(handle);
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(sink.lengthBytes).toBe(0);
  });
});

describe('a peer that fails', () => {
  test('in the middle of the body leaves the valid bytes in the sink', async () => {
    const { fill, sink } = await peer(({ response, verdict }) => {
      if (!verdict.ok) throw new Error('not accepted');
      const answer = { nonce: verdict.nonce, status: 200, lengthBytes: 5000, etag: OBJECT.etag, reason: '' };
      response.writeHead(200, { 'content-length': '5000', [PROOF_HEADER]: proveAnswer(verdict.key, answer) });
      response.write(BYTES.subarray(0, 2000), () => void sink.has(2000).then(() => response.destroy()));
    });
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(sink.bytes()).toEqual(BYTES.subarray(0, 2000));
  });

  test('before its response is unavailable, with the cause', async () => {
    const { fill } = await peer(({ response }) => response.destroy());
    await expect(fill()).rejects.toMatchObject({
      code: 'peer_unavailable',
      cause: expect.objectContaining({ failure: 'closed' }),
    });
  });

  test('may close a kept-alive connection once', async () => {
    let calls = 0;
    const { fill } = await peer(({ response, answer }) => {
      calls += 1;
      if (calls === 2) response.destroy();
      else answer(204, '', { 'x-orca-chunk': 'stored' });
    });
    await fill();
    await expect(fill()).resolves.toEqual({ kind: 'stored' });
    expect(calls).toBe(3);
  });
});

describe('a peer that is slow', () => {
  test('is awaited while it sends 102', async () => {
    const { fill } = await peer(
      ({ response, answer }) => {
        let sent = 0;
        const timer = setInterval(() => {
          sent += 1;
          if (sent <= 6) response.writeProcessing();
          else {
            clearInterval(timer);
            answer(200, BYTES);
          }
        }, 100);
      },
      { deadAfterMs: 500 },
    );
    await expect(fill()).resolves.toEqual({ kind: 'bytes' });
  });

  test('is not awaited beyond the deadline, and does not count as dead', async () => {
    const { fill, seen } = await peer(({ response }) => {
      const timer = setInterval(() => response.writeProcessing(), SHORT_MS / 3);
      response.once('close', () => clearInterval(timer));
    });
    const options = { firstByteTimeoutMs: SHORT_MS };
    await expect(fill({}, options)).rejects.toMatchObject({
      cause: expect.objectContaining({ failure: 'first_byte' }),
    });
    await expect(fill({}, options)).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(seen).toHaveLength(2);
  });
});

describe('a peer that is dead', () => {
  test('because it is silent is skipped for 5 s, then probed by a single request', async () => {
    const silence = Promise.withResolvers<void>();
    let isDead = true;
    const { clock, fill, seen } = await peer(
      ({ answer }) => {
        if (!isDead) void silence.promise.then(() => answer(204, '', { 'x-orca-chunk': 'stored' }));
      },
      { deadAfterMs: 1000 },
    );
    await expect(fill()).rejects.toMatchObject({
      code: 'peer_unavailable',
      cause: expect.objectContaining({ failure: 'silence' }),
    });
    await clock.advance(4999);
    await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable', message: expect.stringContaining('dead') });
    expect(seen).toHaveLength(1);
    await clock.advance(1);
    isDead = false;
    const probe = fill();
    await expect(fill()).rejects.toMatchObject({ message: expect.stringContaining('dead') });
    silence.resolve();
    await expect(probe).resolves.toEqual({ kind: 'stored' });
    await expect(fill()).resolves.toEqual({ kind: 'stored' });
    expect(seen).toHaveLength(3);
  });

  test('because it refuses connections is skipped', async () => {
    const { fill, stop } = await peer(() => {});
    await stop();
    await expect(fill()).rejects.toMatchObject({
      code: 'peer_unavailable',
      cause: expect.objectContaining({ failure: 'connect' }),
    });
    await expect(fill()).rejects.toMatchObject({ message: expect.stringContaining('dead') });
  });

  test('is never assumed because a caller aborted', async () => {
    const { fill, seen } = await peer(() => {});
    const first = new AbortController();
    const call = fill({}, { signal: first.signal });
    await expect.poll(() => seen.length).toBe(1);
    first.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    const next = new AbortController();
    const again = fill({}, { signal: next.signal });
    await expect.poll(() => seen.length).toBe(2);
    next.abort();
    await expect(again).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('a report', () => {
  /** Keeps the bodies that it receives. */
  async function reported(status: number, body: string | Buffer = '') {
    const bodies: Buffer[] = [];
    const opened = await peer(
      ({ request, answer }) => {
        const pieces: Buffer[] = [];
        request.on('data', (piece: Buffer) => pieces.push(piece));
        request.on('end', () => {
          bodies.push(Buffer.concat(pieces));
          answer(status, body);
        });
      },
      { etag: '' },
    );
    const options = { signal: new AbortController().signal };
    const reads = (report: Uint8Array) => opened.client.reads(opened.address, report, options);
    const usage = () => opened.client.usage(opened.address, USAGE, options);
    return { ...opened, bodies, reads, usage };
  }

  test('of reads is sent whole, and its hash is signed', async () => {
    const { reads, bodies, seen } = await reported(204);
    const report = Buffer.alloc(MIB, 'report');
    await reads(report);
    expect(bodies[0]?.equals(report)).toBe(true);
    const { request, verdict } = seen[0] ?? {};
    expect([request?.method, request?.url, verdict?.ok]).toEqual(['POST', '/internal/reads', true]);
    expect(isSignedBody(request?.headers ?? {}, report)).toBe(true);
  });

  test('of usage returns the answer', async () => {
    const { usage, bodies } = await reported(200, Buffer.from(encodeUsageAnswer(ANSWER)));
    expect(await usage()).toEqual(ANSWER);
    expect(decodeUsageReport(bodies[0]!)).toEqual(USAGE);
  });

  test.for([
    ['that is empty', 204, ''],
    ['that is not an account', 200, '{"urgent":true}'],
    ['from an older release, which does not know the call', 400, '{"reason":"bad_request","message":"unknown method"}'],
    ['that is an internal error', 500, '{"reason":"internal"}'],
  ] as const)('of usage with an answer %s is peer_unavailable', async ([, status, body]) => {
    const { usage, address } = await reported(status, body);
    await expect(usage()).rejects.toMatchObject({
      code: 'peer_unavailable',
      message: expect.stringContaining(`peer ${address}: `),
    });
  });

  test('that the peer has no room for is overloaded, with the time to wait', async () => {
    const body = '{"reason":"overloaded","code":"overloaded","message":"16 reports are being received"}';
    const { reads } = await reported(503, body);
    await expect(reads(Buffer.from('report'))).rejects.toMatchObject({ code: 'overloaded' });
  });

  test('that cannot be delivered does not count against the peer: its replica may be starting', async () => {
    const { client, address, fill, stop } = await peer(() => {});
    await stop();
    const options = { signal: new AbortController().signal };
    await expect(client.reads(address, Buffer.from('report'), options)).rejects.toMatchObject({
      code: 'peer_unavailable',
    });
    // Not skipped.
    await expect(fill()).rejects.toMatchObject({ cause: expect.objectContaining({ failure: 'connect' }) });
  });

  test('is sent once: on a connection that breaks it may have been received', async () => {
    let calls = 0;
    const { client, address } = await peer(
      ({ response, answer }) => {
        calls += 1;
        if (calls === 2) response.destroy();
        else answer(204);
      },
      { etag: '' },
    );
    const reads = () => client.reads(address, Buffer.from('report'), { signal: new AbortController().signal });
    await reads();
    await expect(reads()).rejects.toMatchObject({ code: 'peer_unavailable' });
    expect(calls).toBe(2);
  });
});

test('at most 64 streams run to one peer at once', async () => {
  const held: Call[] = [];
  const { fill, client, seen } = await peer((call) => {
    call.response.writeProcessing();
    held.push(call);
  });
  const calls = Array.from({ length: 66 }, () => fill());
  await expect.poll(() => seen.length).toBe(64);
  held.shift()?.answer(204, '', { 'x-orca-chunk': 'stored' });
  await expect.poll(() => seen.length).toBe(65);
  while (held.length > 0 || seen.length < 66) {
    held.shift()?.answer(204, '', { 'x-orca-chunk': 'stored' });
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  const answers = await Promise.all(calls);
  expect(answers.every((answer) => answer.kind === 'stored')).toBe(true);
  await client.close();
  await expect(fill()).rejects.toMatchObject({ code: 'peer_unavailable' });
});
