import { createHmac, timingSafeEqual } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import {
  ANSWER_BYTES,
  decodeAnswer,
  decodePing,
  encodeAnswer,
  encodePing,
  heartbeatCodec,
  PING_BYTES,
  PING_NONCE_BYTES,
} from '#cache/core/peer/heartbeat.ts';
import { RUNS } from '#test/support/fuzz.ts';

const RECEIVER = '10.0.0.2:8444';
const OLD: PeerKeys = { current: Buffer.alloc(32, 1), previous: undefined };
const ROTATING: PeerKeys = { current: Buffer.alloc(32, 2), previous: OLD.current };
const NEW: PeerKeys = { current: ROTATING.current, previous: undefined };
const OTHER: PeerKeys = { current: Buffer.alloc(32, 3), previous: undefined };
const NONCE = Buffer.from('01234567');

const keysOrNone = fc.constantFrom(OLD, ROTATING, NEW, undefined);
const nonces = fc.uint8Array({ minLength: PING_NONCE_BYTES, maxLength: PING_NONCE_BYTES });
const ages = fc.nat(0xffff_ffff);

function roundTrip(sender: PeerKeys | undefined, receiver: PeerKeys | undefined) {
  const ping = decodePing(receiver, RECEIVER, encodePing(sender, RECEIVER, NONCE));
  return ping && decodeAnswer(sender, RECEIVER, encodeAnswer(ping, RECEIVER, 70));
}

describe('a heartbeat', () => {
  test('is answered with its nonce and the age', () => {
    fc.assert(
      fc.property(keysOrNone, nonces, ages, (keys, nonce, mainAgeMs) => {
        const ping = decodePing(keys, RECEIVER, encodePing(keys, RECEIVER, nonce))!;
        const answer = decodeAnswer(keys, RECEIVER, encodeAnswer(ping, RECEIVER, mainAgeMs))!;
        expect(Buffer.from(answer.nonce).equals(nonce)).toBe(true);
        expect(answer.mainAgeMs).toBe(mainAgeMs);
      }),
      { numRuns: RUNS },
    );
  });

  test.for([
    [OLD, ROTATING],
    [ROTATING, OLD],
    [ROTATING, NEW],
    [NEW, ROTATING],
  ] as const)('is answered in the middle of a key rotation: %#', ([sender, receiver]) => {
    expect(roundTrip(sender, receiver)?.mainAgeMs).toBe(70);
  });

  test('is not answered, or not believed, with different keys', () => {
    expect(roundTrip(OLD, NEW)).toBeUndefined();
    expect(roundTrip(undefined, OLD)).toBeUndefined();
    expect(roundTrip(OLD, undefined)).toBeUndefined();
    const ping = { nonce: NONCE, key: OTHER.current };
    expect(decodeAnswer(OLD, RECEIVER, encodeAnswer(ping, RECEIVER, 0))).toBeUndefined();
  });

  test('is of one receiver only: neither its ping nor its answer passes for that of another replica', () => {
    const ping = encodePing(OLD, RECEIVER, NONCE);
    expect(decodePing(OLD, '10.0.0.3:8444', ping)).toBeUndefined();
    const answer = encodeAnswer(decodePing(OLD, RECEIVER, ping)!, RECEIVER, 0);
    expect(decodeAnswer(OLD, '10.0.0.3:8444', answer)).toBeUndefined();
  });

  test('has an answer that is shorter than its ping', () => {
    expect(encodePing(ROTATING, RECEIVER, NONCE)).toHaveLength(PING_BYTES);
    expect(encodeAnswer({ nonce: NONCE, key: OLD.current }, RECEIVER, 0)).toHaveLength(ANSWER_BYTES);
    expect(ANSWER_BYTES).toBeLessThan(PING_BYTES);
  });

  test.for([
    [-5, 0],
    [1.9, 1],
    [2 ** 40, 0xffff_ffff],
  ] as const)('carries an age of %d ms as %d', ([mainAgeMs, carried]) => {
    const bytes = encodeAnswer({ nonce: NONCE, key: undefined }, RECEIVER, mainAgeMs);
    expect(decodeAnswer(undefined, RECEIVER, bytes)?.mainAgeMs).toBe(carried);
  });

  test('has a nonce of 8 bytes', () => {
    expect(() => encodePing(OLD, RECEIVER, Buffer.alloc(7))).toThrow(RangeError);
  });
});

describe('a datagram that is not a heartbeat', () => {
  test('is ignored, whatever its bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(bytes, keysOrNone, (random, keys) => {
        expect(decodePing(keys, RECEIVER, Buffer.from(random))).toBeUndefined();
        expect(decodeAnswer(keys, RECEIVER, Buffer.from(random))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test('is ignored, if one bit of a signed message differs', () => {
    const ping = encodePing(ROTATING, RECEIVER, NONCE);
    const answer = encodeAnswer(decodePing(ROTATING, RECEIVER, ping)!, RECEIVER, 70);
    const flipped = (bytes: Buffer, bit: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      return copy;
    };
    // One of the two MACs of a ping is enough.
    for (let bit = 0; bit < 16 * 8; bit++) expect(decodePing(ROTATING, RECEIVER, flipped(ping, bit))).toBeUndefined();
    for (let bit = 0; bit < answer.length * 8; bit++)
      expect(decodeAnswer(ROTATING, RECEIVER, flipped(answer, bit))).toBeUndefined();
  });

  test('is ignored, if it is too short or too long, or of the other kind or another version', () => {
    const ping = encodePing(undefined, RECEIVER, NONCE);
    const answer = encodeAnswer({ nonce: NONCE, key: undefined }, RECEIVER, 0);
    for (const bytes of [ping.subarray(1), Buffer.concat([ping, Buffer.alloc(1)]), answer, Buffer.alloc(0)])
      expect(decodePing(undefined, RECEIVER, bytes)).toBeUndefined();
    for (const bytes of [answer.subarray(1), Buffer.concat([answer, Buffer.alloc(1)]), ping, Buffer.alloc(0)])
      expect(decodeAnswer(undefined, RECEIVER, bytes)).toBeUndefined();
    const newer = Buffer.from(ping);
    newer[3] = 2;
    expect(decodePing(undefined, RECEIVER, newer)).toBeUndefined();
  });
});

test('the text of the codec runs without anything around it, as the liveness thread needs', () => {
  // eslint-disable-next-line no-new-func, typescript/no-implied-eval
  const copy = new Function(`return ${String(heartbeatCodec)}`)() as typeof heartbeatCodec;
  const { decodePing: decode } = copy({ createHmac, timingSafeEqual });
  expect(decode(OLD, RECEIVER, encodePing(OLD, RECEIVER, NONCE))?.key).toEqual(OLD.current);
});
