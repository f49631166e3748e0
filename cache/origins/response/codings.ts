/**
 * The content coding that an object is stored with, as its HEAD tells: a range answer with another was changed on its
 * way, also where every length is right. Bounded; what is forgotten is asked for again.
 */
import type { ObjectVersion } from '#cache/core/object.ts';
import { ownCoding } from './representation.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

/** Few objects have one, and each entry holds a key of up to 1 KiB. */
const MAX_KNOWN = 1_000;

type Version = Pick<ObjectVersion, 'bucket' | 'key' | 'etag'>;

export interface Codings {
  /** Notes what a HEAD of this version said. */
  learn(object: Version, head: ResponseHeaders): void;
  /** `unknown`: the answer has a coding, and nobody knows whether the object has. */
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
