/**
 * Who may read what: the keys of `keys.yaml`, found by access key or by token. Secrets are compared in constant time,
 * and a token is looked for among all of them, so that time tells nothing of where it differs.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { staysUnder } from './path-traversal.ts';

/** A bucket as clients call it, and the part of it that a key may read. */
export interface Grant {
  readonly name: string;
  readonly prefix: string;
}

export interface EdgeKey {
  /** For logs and metrics: never a secret. */
  readonly label: string;
  /** SigV4. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** Bearer. */
  readonly token?: string | undefined;
  /** undefined = every bucket that is served. */
  readonly grants?: readonly Grant[] | undefined;
}

/** Somebody who was let in. */
export interface Caller {
  readonly label: string;
  /** Anonymous callers may not see the list of buckets, nor choose the headers of their answers. */
  readonly signed: boolean;
  /** Undefined = every bucket that is served. */
  readonly grants: readonly Grant[] | undefined;
}

export function mayEnter({ grants }: Caller, bucket: string): boolean {
  return grants === undefined || grants.some(({ name }) => name === bucket);
}

/** For an object its key, for a list its prefix. */
export function mayRead({ grants }: Caller, bucket: string, keyOrPrefix: string): boolean {
  return grants === undefined || grants.some(({ name, prefix }) => name === bucket && staysUnder(prefix, keyOrPrefix));
}

export interface KeyRing {
  byAccessKey(accessKeyId: string): EdgeKey | undefined;
  byToken(token: string): EdgeKey | undefined;
}

export function openKeyRing(keys: readonly EdgeKey[]): KeyRing {
  const byId = new Map(keys.flatMap((key) => (key.accessKeyId === undefined ? [] : [[key.accessKeyId, key] as const])));
  const byHash = keys.flatMap((key) => (key.token === undefined ? [] : [{ hash: digest(key.token), key }]));
  return {
    byAccessKey: (accessKeyId) => byId.get(accessKeyId),
    byToken(token) {
      const wanted = digest(token);
      let found: EdgeKey | undefined;
      for (const { hash, key } of byHash) if (timingSafeEqual(hash, wanted)) found = key;
      return found;
    },
  };
}

/** Texts of any length, compared in a time that depends on neither. */
export function sameText(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
