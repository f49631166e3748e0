/**
 * Authentication between replicas. A request carries a MAC, by the cluster's secret, over all that it contains; a
 * response carries a proof by the same key. A response without a valid proof is discarded.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** During a key rotation both keys are valid, and requests carry one MAC per key. */
export interface PeerKeys {
  readonly current: Uint8Array;
  readonly previous: Uint8Array | undefined;
}

export const DATE_HEADER = 'x-orca-date';
export const NONCE_HEADER = 'x-orca-nonce';
export const MAC_HEADER = 'x-orca-mac';
export const PROOF_HEADER = 'x-orca-proof';

/** Clocks of nodes differ by seconds; a request older than this is rejected as a replay. */
export const MAX_SKEW_MS = 5 * 60_000;
/** 128 random bits: no two requests of a cluster ever share a nonce. */
export const NONCE_BYTES = 16;

/** Domain separation: a signature of one kind of message is not valid for the other. */
const REQUEST_CONTEXT = 'orca-peer-request-1';
const ANSWER_CONTEXT = 'orca-peer-answer-1';
const ORCA_PREFIX = 'x-orca-';
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const DATE = /^[1-9]\d{12}$/;

/** The parts of a request that are signed, as on the wire. */
export interface PeerRequest {
  readonly method: string;
  /** The raw request target, query included. */
  readonly target: string;
  /** `ip:port` of the receiver: a request is valid for one replica only. */
  readonly receiver: string;
  /** Lower-case names. Exactly the X-Orca-* headers are signed. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/** The headers to add to `request`: date, nonce, and one MAC per key. */
export function signRequest(
  keys: PeerKeys,
  request: PeerRequest,
  nowMs: number,
  nonce: string,
): Readonly<Record<string, string>> {
  const stamp = { [DATE_HEADER]: String(Math.floor(nowMs)), [NONCE_HEADER]: nonce };
  const text = canonicalRequest({ ...request, headers: { ...request.headers, ...stamp } });
  const macs = keysOf(keys).map((key) => hmac(key, text).toString('base64url'));
  return { ...stamp, [MAC_HEADER]: macs.join(',') };
}

export type RequestVerification =
  | { readonly ok: true; readonly key: Uint8Array; readonly nonce: string; readonly dateMs: number }
  | { readonly ok: false; readonly reason: 'missing' | 'malformed' | 'skew' | 'mismatch' };

/** On success `key` is the one whose MAC was accepted; the response must be proved with it. */
export function verifyRequest(keys: PeerKeys, request: PeerRequest, nowMs: number): RequestVerification {
  const [date, nonce, mac] = [DATE_HEADER, NONCE_HEADER, MAC_HEADER].map((name) => request.headers[name]);
  if (mac === undefined || date === undefined || nonce === undefined) return { ok: false, reason: 'missing' };
  if (typeof mac !== 'string' || typeof date !== 'string' || typeof nonce !== 'string')
    return { ok: false, reason: 'malformed' };
  const given = mac.split(',');
  if (!DATE.test(date) || !NONCE.test(nonce) || given.length > 2) return { ok: false, reason: 'malformed' };
  const dateMs = Number(date);
  if (Math.abs(nowMs - dateMs) > MAX_SKEW_MS) return { ok: false, reason: 'skew' };
  let text: string;
  try {
    text = canonicalRequest(request);
  } catch (error) {
    if (error instanceof RangeError) return { ok: false, reason: 'malformed' };
    throw error;
  }
  for (const key of keysOf(keys)) {
    const wanted = hmac(key, text);
    if (given.some((candidate) => sameMac(wanted, candidate))) return { ok: true, key, nonce, dateMs };
  }
  return { ok: false, reason: 'mismatch' };
}

/** The parts of a response that its proof covers. */
export interface PeerAnswer {
  /** The nonce of the request, so that a proof is not valid for another request. */
  readonly nonce: string;
  readonly status: number;
  /** Content-Length; 0 without a body. */
  readonly lengthBytes: number;
  /** The ETag of the object version in the response. */
  readonly etag: string;
  /** The body of a response without object bytes, or X-Orca-Chunk of a 204; empty for object bytes. */
  readonly reason: string;
}

export function proveAnswer(key: Uint8Array, answer: PeerAnswer): string {
  return hmac(key, canonicalAnswer(answer)).toString('base64url');
}

export function verifyAnswer(keys: PeerKeys, answer: PeerAnswer, proof: string | undefined): boolean {
  if (proof === undefined) return false;
  const text = canonicalAnswer(answer);
  return keysOf(keys).some((key) => sameMac(hmac(key, text), proof));
}

export interface NonceMemory {
  /** Returns true only for the first call with a nonce. The request's MAC must be verified before. */
  admit(nonce: string, dateMs: number, nowMs: number): boolean;
}

/**
 * Replay protection: the nonces of accepted mutating requests, at most `maxEntries`. If a nonce had to be dropped early,
 * requests up to its date are rejected, so that a replay is never admitted.
 */
export function nonceMemory(maxEntries: number): NonceMemory {
  const dates = new Map<string, number>();
  /** Requests dated up to this time are rejected. */
  let floorMs = 0;
  return {
    admit(nonce, dateMs, nowMs) {
      // In order of arrival. Nonces that the skew check would reject anyway need not be kept.
      for (const [oldNonce, oldDateMs] of dates) {
        if (nowMs - oldDateMs <= MAX_SKEW_MS) break;
        dates.delete(oldNonce);
      }
      if (dateMs <= floorMs || dates.has(nonce)) return false;
      dates.set(nonce, dateMs);
      for (const [oldNonce, oldDateMs] of dates) {
        if (dates.size <= maxEntries) break;
        dates.delete(oldNonce);
        floorMs = Math.max(floorMs, oldDateMs);
      }
      return true;
    },
  };
}

function canonicalRequest({ method, target, receiver, headers, body }: PeerRequest): string {
  const orca = Object.entries(headers)
    .filter(([name, value]) => name.startsWith(ORCA_PREFIX) && name !== MAC_HEADER && value !== undefined)
    .map(([name, value]) => `${name}:${typeof value === 'string' ? value : (value ?? []).join(', ')}`)
    .toSorted();
  const bodyHash = createHash('sha256').update(body).digest('hex');
  return lines([REQUEST_CONTEXT, method, target, receiver, bodyHash, ...orca]);
}

function canonicalAnswer({ nonce, status, lengthBytes, etag, reason }: PeerAnswer): string {
  // The reason may contain line breaks; its hash does not.
  const reasonHash = createHash('sha256').update(reason, 'utf8').digest('hex');
  return lines([ANSWER_CONTEXT, nonce, String(status), String(lengthBytes), JSON.stringify(etag), reasonHash]);
}

/** One field per line. A line break in a field would make the text ambiguous; HTTP cannot transport one anyway. */
function lines(fields: readonly string[]): string {
  for (const field of fields) if (/[\r\n]/.test(field)) throw new RangeError('a signed field contains a line break');
  return fields.join('\n');
}

function keysOf({ current, previous }: PeerKeys): readonly Uint8Array[] {
  return previous === undefined ? [current] : [current, previous];
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

function sameMac(wanted: Buffer, given: string): boolean {
  const bytes = Buffer.from(given.trim(), 'base64url');
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}
