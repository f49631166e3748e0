/**
 * The content coding that each object is stored with, as its HEAD reports it. A range response with another coding was
 * changed in transit, even if every length is right. Bounded; a forgotten coding is requested again.
 */
import type { ObjectVersion } from '#cache/core/object.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { ownCoding } from './representation.ts';

/** Few objects have one, and each entry holds a key of up to 1 KiB. */
const MAX_KNOWN = 1_000;

type Version = Pick<ObjectVersion, 'bucket' | 'key' | 'etag'>;

export interface Codings {
  /** Records the coding in the HEAD of this version. */
  learn(object: Version, head: ResponseHeaders): void;
  /** `unknown`: the response has a coding, and the object's own is not recorded. */
  judge(object: Version, answer: ResponseHeaders): 'same' | 'other' | 'unknown';
}

export function openCodings(): Codings {
  const known = new Map<string, string>();
  const nameOf = ({ bucket, key, etag }: Version): string => JSON.stringify([bucket, key, etag]);
  return {
    learn(object, head) {
      const name = nameOf(object);
      known.delete(name);
      known.set(name, ownCoding(head));
      for (const oldest of known.keys()) {
        if (known.size <= MAX_KNOWN) break;
        known.delete(oldest);
      }
    },
    judge(object, answer) {
      const coding = ownCoding(answer);
      const stored = known.get(nameOf(object));
      if (stored === undefined) return coding === '' ? 'same' : 'unknown';
      return coding.toLowerCase() === stored.toLowerCase() ? 'same' : 'other';
    },
  };
}
