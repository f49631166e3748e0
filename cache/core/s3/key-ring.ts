/**
 * Authorization of clients: the keys of `keys.yaml` with their grants, looked up by access key or by token. Secrets are
 * compared in constant time, and a token is compared with every key, so that timing does not reveal which one is similar.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { covers } from './bucket-name.ts';
import { staysUnder } from './path-traversal.ts';

/** A bucket, by the name that clients use, or a pattern of such names; and the prefix in it that a key may read. */
export interface Grant {
  readonly name: string;
  readonly prefix: string;
}

export interface EdgeKey {
  /** Identifies the key in logs and metrics; never a secret. */
  readonly label: string;
  /** For SigV4. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** For Bearer. */
  readonly token?: string | undefined;
  /** Undefined = all configured buckets. */
  readonly grants?: readonly Grant[] | undefined;
}

/** An authenticated or anonymous client. */
export interface Caller {
  readonly label: string;
  /** Anonymous callers may not list buckets or override response headers. */
  readonly signed: boolean;
  /** Undefined = all configured buckets. */
  readonly grants: readonly Grant[] | undefined;
}

export function mayAccessBucket({ grants }: Caller, bucket: string): boolean {
  return grants === undefined || grants.some(({ name }) => covers(name, bucket));
}

/** `keyOrPrefix` is the key of an object or the prefix of a list. */
export function mayRead({ grants }: Caller, bucket: string, keyOrPrefix: string): boolean {
  return (
    grants === undefined || grants.some(({ name, prefix }) => covers(name, bucket) && staysUnder(prefix, keyOrPrefix))
  );
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
      const tokenHash = digest(token);
      let found: EdgeKey | undefined;
      for (const { hash, key } of byHash) if (timingSafeEqual(hash, tokenHash)) found = key;
      return found;
    },
  };
}

/** Compares two strings in constant time; hashing removes the dependency on their lengths and contents. */
export function sameText(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
