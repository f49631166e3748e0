import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { RequestBodies } from '#cache/http/peer/request-body.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const MAX_BYTES = 1000;
const TIMEOUT_MS = 8_000;
const MAX_CONCURRENT = 16;

type Request = IncomingMessage & PassThrough;

function requestOf(headers: Readonly<Record<string, string>>): Request {
  return Object.assign(new PassThrough(), { headers }) as unknown as Request;
}

function opened() {
  const clock = fakeClock(0);
  const bodies = new RequestBodies();
  const stop = new AbortController();
  const read = (request: Request) => bodies.read(request, { maxBytes: MAX_BYTES, clock, signal: stop.signal });
  const announced = (lengthBytes: number) => requestOf({ 'content-length': String(lengthBytes) });
  return { clock, stop, read, announced };
}

describe('the body of a report', () => {
  test.for([0, 1, 999, MAX_BYTES])('of %i bytes is received', async (lengthBytes) => {
    const { read, announced, clock } = opened();
    const request = announced(lengthBytes);
    const body = read(request);
    const bytes = Buffer.from(Array.from({ length: lengthBytes }, (_, index) => index & 0xff));
    request.write(bytes.subarray(0, lengthBytes / 2));
    request.end(bytes.subarray(lengthBytes / 2));
    expect(Buffer.from(await body)).toEqual(bytes);
    expect([clock.pending(), request.listenerCount('data')]).toEqual([0, 0]);
  });

  test.for([
    ['without a length', {}],
    ['with a malformed length', { 'content-length': '1e3' }],
    ['with a negative length', { 'content-length': '-1' }],
    ['with the chunked coding', { 'content-length': '1', 'transfer-encoding': 'chunked' }],
  ] as const)('%s is refused before a byte is taken', async ([, headers]) => {
    const { read } = opened();
    const request = requestOf(headers);
    await expect(read(request)).rejects.toMatchObject({ code: 'bad_request', message: 'Content-Length is required' });
    expect(request.listenerCount('data')).toBe(0);
  });

  test('above the limit is refused with both numbers', async () => {
    const { read, announced } = opened();
    await expect(read(announced(MAX_BYTES + 1))).rejects.toMatchObject({
      code: 'bad_request',
      message: 'a body of 1001 bytes is too large: at most 1000',
    });
  });

  test('that arrives too slowly is refused, and its bytes are dropped', async () => {
    const { read, announced, clock } = opened();
    const request = announced(100);
    const body = read(request).catch((error: unknown) => error);
    request.write(Buffer.alloc(99));
    await clock.advance(TIMEOUT_MS);
    expect(await body).toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('did not arrive within'),
    });
    expect(request.listenerCount('data')).toBe(0);
  });

  test('whose connection closes rejects with the reason of the signal', async () => {
    const { read, announced, stop, clock } = opened();
    const body = read(announced(100)).catch((error: unknown) => error);
    const reason = new OrcaError('cancelled', 'the client closed the connection');
    stop.abort(reason);
    expect(await body).toBe(reason);
    expect(clock.pending()).toBe(0);
  });

  test('is one of a limited number: more are refused, until one has ended', async () => {
    const { read, announced } = opened();
    const requests = Array.from({ length: MAX_CONCURRENT }, () => announced(1));
    const bodies = requests.map(read);
    await expect(read(announced(1))).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 5_000 });
    requests[0]?.end('a');
    await bodies[0];
    const next = announced(1);
    const received = read(next);
    for (const request of [...requests.slice(1), next]) request.end('a');
    await Promise.all([received, ...bodies]);
  });
});
