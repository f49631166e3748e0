/** Fuzzes the parsers of text from other replicas, from an origin and from the cachestore. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseNotCoordinator, parseRefusal } from '#cache/core/peer/refusal.ts';
import { formatFillTarget, formatFillTerms, parseFillQuery, parseFillTerms } from '#cache/core/peer/fill-request.ts';
import { decodeManifest, encodeHead } from '#cache/core/peer/head-message.ts';
import { formatHeadTarget, parseHeadQuery, parseInvalidateQuery } from '#cache/core/peer/head-request.ts';
import {
  decodeWarmAnswer,
  encodeWarmAnswer,
  formatWarmTarget,
  formatWarmTerms,
  parseWarmQuery,
  parseWarmTerms,
  type WarmAnswer,
} from '#cache/core/peer/warm-request.ts';
import { nonceMemory, signRequest, verifyAnswer, verifyRequest } from '#cache/core/peer/auth.ts';
import type { PeerAddress } from '#cache/core/peer-set.ts';
import { chunkAt } from '#cache/core/chunk.ts';
import { WireError } from '#cache/wire/http1/errors.ts';
import { createHeadReader } from '#cache/wire/http1/head-reader.ts';
import { framingOf } from '#cache/wire/http1/response-head.ts';
import { damaged, nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';

const MIB = 1024 * 1024;
const LIMITS = { maxChunkSizeBytes: 64 * MIB };
const OBJECT = { originId: 'far', bucket: 'models', key: 'a/b é', etag: 'e"1', sizeBytes: 10 * MIB };
const TARGET = formatFillTarget({ chunk: chunkAt(OBJECT, MIB, 3), range: { from: 5, to: 500 } });
const queryOf = (target: string) => target.slice(target.indexOf('?') + 1);

describe('a warm request', () => {
  test('with one change is of a chunk inside the object, or is rejected', () => {
    const target = formatWarmTarget(chunkAt(OBJECT, MIB, 3));
    const text = fc.oneof(damaged(queryOf(target)), nasty(...target.split(/(?=[&=?])/), '&from=1&to=2', '&index=10'));
    fc.assert(
      fc.property(text, (query) => {
        const outcome = outcomeOf(() => parseWarmQuery(query, LIMITS), 'bad_request');
        if ('value' in outcome)
          expect(parseWarmQuery(queryOf(formatWarmTarget(outcome.value)), LIMITS)).toEqual(outcome.value);
      }),
      { numRuns: RUNS },
    );
  });

  test('with arbitrary headers has terms that can be sent, or is rejected', () => {
    const value = fc.option(fc.oneof(fc.constantFrom('1', '2', '0123456789abcdef'), nasty('1', '2')), {
      nil: undefined,
    });
    fc.assert(
      fc.property(value, value, value, (rank, epoch, absent) => {
        const headers = { 'x-orca-rank': rank, 'x-orca-epoch': epoch, 'x-orca-absent': absent };
        const outcome = outcomeOf(() => parseWarmTerms(headers), 'bad_request');
        if ('value' in outcome) expect(parseWarmTerms(formatWarmTerms(outcome.value))).toEqual(outcome.value);
      }),
      { numRuns: RUNS },
    );
  });

  test('an answer with one change is one that can be sent, or none', () => {
    const answers: readonly WarmAnswer[] = [
      { state: 'stored', originBytes: 8 * MIB },
      { state: 'not_stored', message: 'the cachestore is full "é"' },
      { state: 'not_coordinator', owner: '10.0.0.1:8444' as PeerAddress },
    ];
    for (const answer of answers) expect(decodeWarmAnswer(encodeWarmAnswer(answer))).toEqual(answer);
    const text = fc.oneof(
      ...answers.map((answer) => damaged(encodeWarmAnswer(answer))),
      nasty('{"state":', '"stored"', ',"originBytes":', '1e400', '-1', 'null', '}', '[]'),
    );
    fc.assert(
      fc.property(text, (body) => {
        const answer = decodeWarmAnswer(body);
        if (answer !== undefined) expect(decodeWarmAnswer(encodeWarmAnswer(answer))).toEqual(answer);
      }),
      { numRuns: RUNS },
    );
  });

  test('a message of any length is cut', () => {
    const encoded = encodeWarmAnswer({ state: 'not_stored', message: 'x'.repeat(10_000) });
    expect(encoded.length).toBeLessThan(600);
  });
});

describe('a fill request', () => {
  test('round-trips, with arbitrary names', () => {
    const name = nasty('/', '..', '&', '=', '%', '#', '+', 'a').filter((text) => text.isWellFormed() && text !== '');
    fc.assert(
      fc.property(name, name, fc.nat(9), (key, etag, index) => {
        const query = { chunk: chunkAt({ ...OBJECT, key, etag }, MIB, index), range: { from: 0, to: MIB } };
        expect(parseFillQuery(queryOf(formatFillTarget(query)), LIMITS)).toEqual(query);
        const head = { object: { originId: 'far', bucket: 'models', key }, maxAgeMs: index };
        expect(parseHeadQuery(queryOf(formatHeadTarget(head)))).toEqual(head);
      }),
      { numRuns: RUNS },
    );
  });

  test('with one change requests bytes inside the object, or is rejected', () => {
    const parts = TARGET.split(/(?=[&=?])/);
    const text = fc.oneof(damaged(queryOf(TARGET)), nasty(...parts, '&index=', '1e3', '-1', '9007199254740993', '0x1'));
    fc.assert(
      fc.property(text, (query) => {
        const outcome = outcomeOf(() => parseFillQuery(query, LIMITS), 'bad_request');
        outcomeOf(() => parseHeadQuery(query), 'bad_request');
        outcomeOf(() => parseInvalidateQuery(query), 'bad_request');
        if ('error' in outcome) return;
        const { chunk, range } = outcome.value;
        expect(chunk.chunkSizeBytes).toBeLessThanOrEqual(LIMITS.maxChunkSizeBytes);
        expect(chunk.index * chunk.chunkSizeBytes + chunk.lengthBytes).toBeLessThanOrEqual(chunk.object.sizeBytes);
        expect(range.from >= 0 && range.from < range.to && range.to <= chunk.lengthBytes).toBe(true);
        expect(chunk.path).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*\/[0-9a-f]{64}\/\d+$/);
      }),
      { numRuns: RUNS },
    );
  });

  test('has valid fill terms, or is rejected', () => {
    const good = formatFillTerms({
      rank: 1,
      epoch: '0123456789abcdef',
      demand: 'new',
      deadlineMs: 5_000,
      reason: 'not_stored',
    });
    const value = nasty('1', '2', 'new', 'started', '0', '-1', '1e9', 'NaN', 'Infinity', '0123456789abcdef');
    const changed = fc.dictionary(
      fc.constantFrom(...Object.keys(good), 'x-orca-reason', 'x-orca-sparse'),
      fc.oneof(value, fc.array(value)),
    );
    fc.assert(
      fc.property(changed, (changed) => {
        const outcome = outcomeOf(() => parseFillTerms({ ...good, ...changed }), 'bad_request', 'not_coordinator');
        if ('error' in outcome) return;
        expect(outcome.value.deadlineMs > 0 && outcome.value.deadlineMs <= 600_000).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('a MAC between replicas', () => {
  const keys = { current: Buffer.alloc(32, 1), previous: undefined };
  const request = {
    method: 'GET',
    target: TARGET,
    receiver: '10.0.0.1:8444',
    headers: { 'x-orca-rank': '1' },
    body: new Uint8Array(),
  };
  const NOW_MS = Date.UTC(2026, 0, 1);
  const stamp = signRequest(keys, request, NOW_MS, 'n'.repeat(22));
  const signed = { ...request, headers: { ...request.headers, ...stamp } };

  test('is accepted for the request that it was made for, and for no other', () => {
    expect(verifyRequest(keys, signed, NOW_MS).ok).toBe(true);
    const change = fc.oneof(
      damaged(signed.target).map((target) => ({ ...signed, target })),
      damaged(signed.receiver).map((receiver) => ({ ...signed, receiver })),
      fc.constantFrom('POST', 'HEAD', 'get').map((method) => ({ ...signed, method })),
      fc.constantFrom(...Object.keys(signed.headers)).chain((name) =>
        damaged((signed.headers as Record<string, string>)[name] ?? '').map((value) => ({
          ...signed,
          headers: { ...signed.headers, [name]: value },
        })),
      ),
      nasty('x', ':', '\n').map((value) => ({ ...signed, headers: { ...signed.headers, 'x-orca-more': value } })),
    );
    fc.assert(
      fc.property(change, (changed) => {
        const verdict = verifyRequest(keys, changed, NOW_MS);
        if (!verdict.ok) return;
        const { 'x-orca-mac': _given, ...said } = changed.headers as Record<string, string>;
        const { 'x-orca-mac': _made, ...meant } = signed.headers as Record<string, string>;
        // Only the encoding of the MAC itself may differ.
        expect({ ...changed, headers: said }).toEqual({ ...signed, headers: meant });
      }),
      { numRuns: RUNS },
    );
  });

  test('and the proof of a response are not interchangeable, and arbitrary text is neither', () => {
    fc.assert(
      fc.property(nasty('A', '-', '_', '=', ',', stamp['x-orca-mac'] ?? ''), nasty('a', '"'), (proof, reason) => {
        expect(
          verifyAnswer(keys, { nonce: 'n'.repeat(22), status: 200, lengthBytes: 1, etag: 'e', reason }, proof),
        ).toBe(false);
      }),
      { numRuns: RUNS / 2 },
    );
  });

  test('is remembered: no nonce is accepted twice, however small the memory', () => {
    const call = fc.record({ nonce: fc.nat(6).map(String), dateMs: fc.nat(50), advanceMs: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 30 }), fc.integer({ min: 1, max: 4 }), (calls, maxEntries) => {
        const memory = nonceMemory(maxEntries);
        const admitted = new Set<string>();
        let nowMs = 0;
        for (const { nonce, dateMs, advanceMs } of calls) {
          nowMs += advanceMs;
          // A nonce belongs to one request, and so to one date.
          const one = `${nonce}@${dateMs}`;
          if (memory.admit(one, dateMs, nowMs)) {
            expect(admitted.has(one)).toBe(false);
            admitted.add(one);
          }
        }
      }),
      { numRuns: RUNS / 5 },
    );
  });
});

test('an error response of another replica becomes one of our errors, or none', () => {
  const body = fc.oneof(
    fc.json(),
    nasty('{', '"code":"', '"reason":"', 'overloaded', 'not_coordinator', '"', '}', ':', ','),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(200, 404, 409, 412, 502, 503),
      body,
      nasty('1', '9', '-'),
      (status, body, retryAfter) => {
        const error = parseRefusal('10.0.0.1:8444', status, body, retryAfter);
        if (error?.retryAfterMs !== undefined)
          expect(error.retryAfterMs >= 0 && error.retryAfterMs <= 600_000).toBe(true);
        parseNotCoordinator(body);
      },
    ),
    { numRuns: RUNS / 2 },
  );
});

test('the head of an object is accepted only if HTTP can carry its headers', () => {
  const good = encodeHead({
    learnedMs: 1,
    head: { etag: 'e', sizeBytes: 1, lastModifiedMs: 1, headers: { 'content-type': 'a' } },
  });
  const value = fc.oneof(fc.jsonValue({ maxDepth: 1 }), nasty('a', '\r\n', '"'), fc.double(), fc.integer());
  const names = fc.constantFrom('etag', 'sizeBytes', 'lastModifiedMs', 'learnedMs', 'gone', 'format');
  const headers = fc.dictionary(
    fc.oneof(fc.constantFrom('content-type', 'x-amz-meta-a', 'transfer-encoding'), nasty('x-amz-meta-', ':')),
    nasty('a', '\r\n'),
    { maxKeys: 3 },
  );
  const made = fc
    .tuple(fc.dictionary(names, value, { maxKeys: 2 }), headers)
    .map(([changes, headers]) => JSON.stringify({ ...(JSON.parse(good) as object), headers, ...changes }));
  fc.assert(
    fc.property(fc.oneof(made, damaged(good), fc.json()), (text) => {
      const manifest = decodeManifest(text);
      if (manifest === undefined || manifest.isDeleted) return;
      const { etag, sizeBytes, lastModifiedMs, headers } = manifest.head;
      expect(Number.isSafeInteger(sizeBytes)).toBe(true);
      expect(new Date(lastModifiedMs).toUTCString()).not.toBe('Invalid Date');
      for (const [name, text] of [...Object.entries(headers), ['etag', `"${etag}"`] as const]) {
        expect(name).not.toBe('transfer-encoding');
        expect(() => new Headers([[name, text]])).not.toThrow();
      }
    }),
    { numRuns: RUNS },
  );
});

test('the head of a response is parsed the same in pieces of any size, or rejected', () => {
  const HEAD = 'HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nETag: "e"\r\nContent-Range: bytes 0-4/9\r\n\r\n';
  const text = fc.oneof(
    damaged(HEAD),
    nasty(...HEAD.split(/(?<=\r\n)/), 'Transfer-Encoding: chunked\r\n', 'Content-Length: 6\r\n', ':', '\n').map(
      (middle) => `HTTP/1.1 200 OK\r\n${middle}\r\n\r\n`,
    ),
  );
  const read = (bytes: Buffer, cuts: readonly number[]): unknown => {
    const reader = createHeadReader();
    const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
    let from = 0;
    try {
      for (const to of ends) {
        const { head } = reader.push(bytes.subarray(from, to));
        from = Math.max(from, to);
        if (head !== undefined) return { head, framing: framingOf('GET', head) };
      }
      return undefined;
    } catch (error) {
      if (error instanceof WireError) return error.message;
      throw error;
    }
  };
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 4 }), (text, cuts) => {
      const bytes = Buffer.from(text, 'latin1');
      const whole = read(bytes, []);
      expect(read(bytes, cuts)).toEqual(whole);
      if (typeof whole !== 'object' || whole === null || !('framing' in whole)) return;
      const framing = whole.framing as { kind: string; lengthBytes?: number };
      if (framing.kind === 'length') expect(Number.isSafeInteger(framing.lengthBytes)).toBe(true);
    }),
    { numRuns: RUNS },
  );
});
