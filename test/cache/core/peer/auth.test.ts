import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_SKEW_MS,
  nonceMemory,
  proveAnswer,
  signRequest,
  verifyAnswer,
  verifyRequest,
  type PeerAnswer,
  type PeerKeys,
  type PeerRequest,
} from '#cache/core/peer/auth.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const NONCE = 'AAECAwQFBgcICQoLDA0ODw';
const KEYS: PeerKeys = { current: Buffer.alloc(32, 1), previous: undefined };
const OLD: PeerKeys = { current: Buffer.alloc(32, 2), previous: undefined };
const ROTATING: PeerKeys = { current: KEYS.current, previous: OLD.current };
const REQUEST: PeerRequest = {
  method: 'GET',
  target: '/internal/fill?key=a%20b',
  receiver: '10.0.0.2:8444',
  headers: { host: 'x', 'x-orca-internal': '1', 'x-orca-rank': '1' },
  body: new Uint8Array(),
};
const ANSWER: PeerAnswer = { nonce: NONCE, status: 200, lengthBytes: 1048576, etag: 'abc', reason: '' };

function signed(keys: PeerKeys = KEYS, request: PeerRequest = REQUEST, nowMs = NOW): PeerRequest {
  return { ...request, headers: { ...request.headers, ...signRequest(keys, request, nowMs, NONCE) } };
}

describe('the MAC of a request', () => {
  test('is the HMAC-SHA-256 of the canonical lines', () => {
    const lines = [
      'orca-peer-request-1',
      'GET',
      '/internal/fill?key=a%20b',
      '10.0.0.2:8444',
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      `x-orca-date:${NOW}`,
      'x-orca-internal:1',
      `x-orca-nonce:${NONCE}`,
      'x-orca-rank:1',
    ];
    const expected = createHmac('sha256', KEYS.current).update(lines.join('\n')).digest('base64url');
    expect(signRequest(KEYS, REQUEST, NOW, NONCE)).toEqual({
      'x-orca-date': String(NOW),
      'x-orca-nonce': NONCE,
      'x-orca-mac': expected,
    });
    // Computed with `openssl dgst`. A change of this value breaks compatibility between replicas of two versions.
    expect(expected).toBe('MnUlAy-zpaqua0Ojq3tigfYbsnNNWgVNiimKw2bSXrg');
  });

  test('is accepted by its receiver, with the key that matched', () => {
    expect(verifyRequest(KEYS, signed(), NOW)).toEqual({ ok: true, key: KEYS.current, nonce: NONCE, dateMs: NOW });
  });

  test('does not depend on the order of headers or on other headers', () => {
    const request = signed();
    const headers = { via: 'a proxy', ...Object.fromEntries(Object.entries(request.headers).toReversed()) };
    expect(verifyRequest(KEYS, { ...request, headers }, NOW).ok).toBe(true);
  });

  test('is rejected after a change of any field', () => {
    const change = fc.constantFrom<(request: PeerRequest, text: string) => PeerRequest>(
      (request, text) => ({ ...request, method: request.method + text }),
      (request, text) => ({ ...request, target: request.target + text }),
      (request, text) => ({ ...request, receiver: request.receiver + text }),
      (request, text) => ({ ...request, body: Buffer.from(text) }),
      (request, text) => ({ ...request, headers: { ...request.headers, 'x-orca-rank': `1${text}` } }),
      (request, text) => ({ ...request, headers: { ...request.headers, 'x-orca-new': text } }),
      (request) => ({ ...request, headers: { ...request.headers, 'x-orca-internal': undefined } }),
      (request) => ({ ...request, headers: { ...request.headers, 'x-orca-date': String(NOW + 1) } }),
      (request) => ({ ...request, headers: { ...request.headers, 'x-orca-nonce': 'BBECAwQFBgcICQoLDA0ODw' } }),
    );
    fc.assert(
      fc.property(change, fc.string({ minLength: 1 }), (apply, text) => {
        expect(verifyRequest(KEYS, apply(signed(), text), NOW).ok).toBe(false);
      }),
    );
  });

  test('is rejected after a change of any of its bits', () => {
    const request = signed();
    const mac = Buffer.from(String(request.headers['x-orca-mac']), 'base64url');
    fc.assert(
      fc.property(fc.nat(mac.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(mac);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const headers = { ...request.headers, 'x-orca-mac': flipped.toString('base64url') };
        expect(verifyRequest(KEYS, { ...request, headers }, NOW)).toEqual({ ok: false, reason: 'mismatch' });
      }),
    );
  });

  test.for([
    ['a day old', 86_400_000],
    ['just too old', MAX_SKEW_MS + 1],
    ['from the future', -MAX_SKEW_MS - 1],
  ] as const)('is rejected if the request is %s', ([, ageMs]) => {
    expect(verifyRequest(KEYS, signed(), NOW + ageMs)).toEqual({ ok: false, reason: 'skew' });
  });

  test.for([MAX_SKEW_MS, -MAX_SKEW_MS])('is accepted with a clock difference of %i ms', (ageMs) => {
    expect(verifyRequest(KEYS, signed(), NOW + ageMs).ok).toBe(true);
  });

  test.for([
    ['no MAC', { 'x-orca-mac': undefined }, 'missing'],
    ['no date', { 'x-orca-date': undefined }, 'missing'],
    ['no nonce', { 'x-orca-nonce': undefined }, 'missing'],
    ['a date that is not a number', { 'x-orca-date': 'yesterday' }, 'malformed'],
    ['two nonces', { 'x-orca-nonce': `${NONCE}, ${NONCE}` }, 'malformed'],
    ['three MACs', { 'x-orca-mac': 'a,b,c' }, 'malformed'],
    ['an empty MAC', { 'x-orca-mac': '' }, 'mismatch'],
    ['a truncated MAC', { 'x-orca-mac': 'AAAA' }, 'mismatch'],
  ] as const)('%s is rejected', ([, headers, reason]) => {
    const request = signed();
    expect(verifyRequest(KEYS, { ...request, headers: { ...request.headers, ...headers } }, NOW)).toEqual({
      ok: false,
      reason,
    });
  });

  test('rejects line breaks, which would make the signed text ambiguous', () => {
    expect(() => signed(KEYS, { ...REQUEST, target: '/a\nb' })).toThrow(RangeError);
    const request = signed();
    expect(verifyRequest(KEYS, { ...request, target: `${request.target}\nx` }, NOW)).toMatchObject({
      reason: 'malformed',
    });
  });
});

describe('during key rotation', () => {
  test('a request carries a MAC per key and is accepted by receivers with either key', () => {
    expect(String(signed(ROTATING).headers['x-orca-mac']).split(',')).toHaveLength(2);
    for (const [sender, receiver] of [
      [ROTATING, KEYS],
      [ROTATING, OLD],
      [KEYS, ROTATING],
      [OLD, ROTATING],
      [ROTATING, ROTATING],
    ] as const)
      expect(verifyRequest(receiver, signed(sender), NOW).ok).toBe(true);
    expect(verifyRequest(OLD, signed(KEYS), NOW)).toEqual({ ok: false, reason: 'mismatch' });
  });

  test('the response is proved with the key that was accepted', () => {
    const verified = verifyRequest(OLD, signed(ROTATING), NOW);
    if (!verified.ok) throw new Error('not accepted');
    expect(verifyAnswer(ROTATING, ANSWER, proveAnswer(verified.key, ANSWER))).toBe(true);
    expect(verifyAnswer(KEYS, ANSWER, proveAnswer(verified.key, ANSWER))).toBe(false);
  });
});

describe('the proof of a response', () => {
  test('is the HMAC-SHA-256 of its lines', () => {
    expect(proveAnswer(KEYS.current, ANSWER)).toBe('bN9JahtvCyWPwj8BRXjrpYin8q4k7fjI8Nx-lcFa8QM');
  });

  test('is rejected after a change of any field, and if it is missing or malformed', () => {
    const proof = proveAnswer(KEYS.current, ANSWER);
    expect(verifyAnswer(KEYS, ANSWER, proof)).toBe(true);
    const others: Partial<PeerAnswer>[] = [
      { nonce: 'other' },
      { status: 204 },
      { lengthBytes: 1 },
      { etag: 'abd' },
      { reason: 'stored' },
    ];
    for (const other of others) expect(verifyAnswer(KEYS, { ...ANSWER, ...other }, proof)).toBe(false);
    for (const none of [undefined, '', 'AAAA']) expect(verifyAnswer(KEYS, ANSWER, none)).toBe(false);
  });

  test('cannot be replaced by the MAC of a request', () => {
    const mac = signRequest(KEYS, REQUEST, NOW, NONCE)['x-orca-mac'];
    expect(verifyAnswer(KEYS, ANSWER, mac)).toBe(false);
  });
});

describe('nonceMemory', () => {
  test('admits each nonce once', () => {
    const memory = nonceMemory(10);
    expect(memory.admit('a', NOW, NOW)).toBe(true);
    expect(memory.admit('a', NOW, NOW + 1000)).toBe(false);
    expect(memory.admit('b', NOW, NOW)).toBe(true);
  });

  test('never admits a replay within the allowed skew, even with few entries', () => {
    const calls = fc.array(
      fc.record({ stepMs: fc.nat(20_000), ageMs: fc.integer({ min: -MAX_SKEW_MS, max: MAX_SKEW_MS }) }),
    );
    fc.assert(
      fc.property(calls, fc.integer({ min: 1, max: 5 }), (steps, maxEntries) => {
        const memory = nonceMemory(maxEntries);
        const admitted: { nonce: string; dateMs: number }[] = [];
        let nowMs = NOW;
        steps.forEach(({ stepMs, ageMs }, number) => {
          nowMs += stepMs;
          const call = { nonce: String(number), dateMs: nowMs - ageMs };
          if (memory.admit(call.nonce, call.dateMs, nowMs)) admitted.push(call);
          for (const old of admitted)
            if (Math.abs(nowMs - old.dateMs) <= MAX_SKEW_MS)
              expect(memory.admit(old.nonce, old.dateMs, nowMs)).toBe(false);
        });
      }),
    );
  });

  test('continues to admit new nonces when it is full', () => {
    const memory = nonceMemory(2);
    for (let i = 0; i < 100; i++) expect(memory.admit(String(i), NOW + i, NOW + i)).toBe(true);
  });
});
