/**
 * The two datagrams of a heartbeat: a ping, and the response by the receiver's liveness thread, which contains the time
 * since its main loop last turned. Both have a MAC by the cluster's secret that covers the receiver's address, so that an
 * answer proves that this replica has received this ping. An answer is shorter than its ping, so a replica cannot be
 * misused to amplify traffic.
 */
import * as crypto from 'node:crypto';
import type { PeerKeys } from './auth.ts';

/** Random, and unique among the pings that wait for an answer. */
export const PING_NONCE_BYTES = 8;
export const PING_BYTES = 48;
export const ANSWER_BYTES = 36;

export interface Ping {
  readonly nonce: Uint8Array;
  /** The key whose MAC was accepted, for the answer; undefined without keys. */
  readonly key: Uint8Array | undefined;
}

export interface HeartbeatAnswer {
  readonly nonce: Uint8Array;
  readonly mainAgeMs: number;
}

export const { encodePing, decodePing, encodeAnswer, decodeAnswer } = heartbeatCodec(crypto);

/**
 * A function without references to the outside, because the liveness thread runs its text. Integers are big-endian.
 *
 * | part | ping | answer |
 * |---|---|---|
 * | `OHB`, version | 4 | 4 |
 * | kind, three zero bytes | 4 | 4 |
 * | nonce | 8 | 8 |
 * | age of the main loop's last turn in ms | | 4 |
 * | MACs | 16 per key, of at most 2 | 16 |
 */
export function heartbeatCodec({ createHmac, timingSafeEqual }: Pick<typeof crypto, 'createHmac' | 'timingSafeEqual'>) {
  const [pingBytes, answerBytes, nonceBytes, macBytes] = [48, 36, 8, 16];
  const [pingKind, answerKind] = [1, 2];
  /** Domain separation: no other message of the cluster begins like this. */
  const context = 'orca-peer-heartbeat-1';
  const nonceAt = 8;
  const bodyAt = nonceAt + nonceBytes;
  const answerMacAt = bodyAt + 4;
  const maxAgeMs = 0xffff_ffff;

  /** Half of HMAC-SHA-256: RFC 2104 permits that, and 128 bits cannot be guessed. */
  const macOf = (key: Uint8Array, receiver: string, signed: Uint8Array): Buffer =>
    createHmac('sha256', key).update(`${context}\n${receiver}\n`).update(signed).digest().subarray(0, macBytes);
  const keysOf = ({ current, previous }: PeerKeys): readonly Uint8Array[] =>
    previous === undefined ? [current] : [current, previous];
  const start = (lengthBytes: number, kind: number, nonce: Uint8Array): Buffer => {
    if (nonce.length !== nonceBytes) throw new RangeError(`a nonce has ${nonceBytes} bytes, not ${nonce.length}`);
    const bytes = Buffer.alloc(lengthBytes);
    bytes.write('OHB\x01', 'latin1');
    bytes[4] = kind;
    bytes.set(nonce, nonceAt);
    return bytes;
  };
  const isMessage = (bytes: Buffer, lengthBytes: number, kind: number): boolean =>
    bytes.length === lengthBytes && bytes.readUInt32BE(0) === 0x4f48_4201 && bytes.readUInt32BE(4) === kind * 2 ** 24;

  return {
    /** `receiver` is the `ip:port` of the replica that is pinged. */
    encodePing: (keys: PeerKeys | undefined, receiver: string, nonce: Uint8Array): Buffer => {
      const bytes = start(pingBytes, pingKind, nonce);
      if (keys === undefined) return bytes;
      const macs = keysOf(keys).map((key) => macOf(key, receiver, bytes.subarray(0, bodyAt)));
      bytes.set(Buffer.concat(macs), bodyAt);
      return bytes;
    },
    /** Undefined for anything but a ping to this receiver with the MAC of one of the keys. */
    decodePing: (keys: PeerKeys | undefined, receiver: string, bytes: Buffer): Ping | undefined => {
      if (!isMessage(bytes, pingBytes, pingKind)) return undefined;
      const nonce = bytes.subarray(nonceAt, bodyAt);
      if (keys === undefined) return { nonce, key: undefined };
      for (const key of keysOf(keys)) {
        const wanted = macOf(key, receiver, bytes.subarray(0, bodyAt));
        for (const at of [bodyAt, bodyAt + macBytes])
          if (timingSafeEqual(wanted, bytes.subarray(at, at + macBytes))) return { nonce, key };
      }
      return undefined;
    },
    encodeAnswer: ({ nonce, key }: Ping, receiver: string, mainAgeMs: number): Buffer => {
      const bytes = start(answerBytes, answerKind, nonce);
      bytes.writeUInt32BE(Math.min(maxAgeMs, Math.max(0, Math.trunc(mainAgeMs))), bodyAt);
      if (key !== undefined) bytes.set(macOf(key, receiver, bytes.subarray(0, answerMacAt)), answerMacAt);
      return bytes;
    },
    /** Undefined for anything but an answer of this receiver with the MAC of one of the keys. */
    decodeAnswer: (keys: PeerKeys | undefined, receiver: string, bytes: Buffer): HeartbeatAnswer | undefined => {
      if (!isMessage(bytes, answerBytes, answerKind)) return undefined;
      const isProved = (key: Uint8Array): boolean =>
        timingSafeEqual(macOf(key, receiver, bytes.subarray(0, answerMacAt)), bytes.subarray(answerMacAt));
      if (keys !== undefined && !keysOf(keys).some(isProved)) return undefined;
      return { nonce: bytes.subarray(nonceAt, bodyAt), mainAgeMs: bytes.readUInt32BE(bodyAt) };
    },
  };
}
