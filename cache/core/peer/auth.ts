/**
 * How replicas know each other: a MAC by the cluster's secret over everything that a request says, and a proof by the
 * same key over everything that an answer says. Without a proof an answer is nobody's.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** While a secret is rotated both are valid; what is sent carries a MAC by each. */
export interface PeerKeys {
  readonly current: Uint8Array;
  readonly previous: Uint8Array | undefined;
}

export const DATE_HEADER = 'x-orca-date';
export const NONCE_HEADER = 'x-orca-nonce';
export const MAC_HEADER = 'x-orca-mac';
export const PROOF_HEADER = 'x-orca-proof';

/** Clocks of nodes differ by seconds; a request older than this is a replay. */
export const MAX_SKEW_MS = 5 * 60_000;
/** Random, so that no two requests of a cluster's life share one. */
export const NONCE_BYTES = 16;

/** Each kind of text that is signed begins with its own word, so that none can pass for another. */
const REQUEST_CONTEXT = 'orca-peer-request-1';
const ANSWER_CONTEXT = 'orca-peer-answer-1';
const ORCA_PREFIX = 'x-orca-';
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const DATE = /^[1-9]\d{12}$/;

/** What both sides see of a request, as it stands on the wire. */
export interface PeerRequest {
  readonly method: string;
  /** The raw request target, query included. */
  readonly target: string;
  /** `ip:port` of the receiver: a request is good at one replica only. */
  readonly receiver: string;
  /** Lower-case names. Only X-Orca-* counts, and all of it. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/** The headers that make `request` ours: date, nonce, and one MAC a key. */
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

export type Verdict =
  | { readonly ok: true; readonly key: Uint8Array; readonly nonce: string; readonly dateMs: number }
  | { readonly ok: false; readonly reason: 'missing' | 'malformed' | 'skew' | 'mismatch' };

/** `key` is the one whose MAC was accepted: the answer is proved by it. */
export function verifyRequest(keys: PeerKeys, request: PeerRequest, nowMs: number): Verdict {
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

/** What an answer says, as far as it is proved. */
export interface PeerAnswer {
  /** Of the request: an answer to another one proves nothing. */
  readonly nonce: string;
  readonly status: number;
  /** Of the body, as Content-Length says it; 0 without one. */
  readonly lengthBytes: number;
  /** Of the object version that the answer is about. */
  readonly etag: string;
  /** The small body of an answer without object bytes, or a 204's X-Orca-Chunk; empty for object bytes. */
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
  /** True the first time only, for a nonce whose request was accepted at `nowMs`. */
  admit(nonce: string, dateMs: number, nowMs: number): boolean;
}

/**
 * Nonces of accepted mutating calls. It never holds more than `maxEntries`: what it had to forget early it refuses by
 * date, so that a replay is never let through.
 */
export function nonceMemory(maxEntries: number): NonceMemory {
  const dates = new Map<string, number>();
  /** Everything dated up to here is refused. */
  let floorMs = 0;
  return {
    admit(nonce, dateMs, nowMs) {
      // Oldest arrivals first; what the skew check refuses anyway need not be remembered.
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
  // The reason may hold anything; its hash is one line.
  const reasonHash = createHash('sha256').update(reason, 'utf8').digest('hex');
  return lines([ANSWER_CONTEXT, nonce, String(status), String(lengthBytes), JSON.stringify(etag), reasonHash]);
}

/** One field a line; a field with a line break could pass for two, and HTTP can't carry one. */
function lines(fields: readonly string[]): string {
  for (const field of fields) if (/[\r\n]/.test(field)) throw new RangeError('a signed field holds a line break');
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
