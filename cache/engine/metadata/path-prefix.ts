/** The path prefix of an object's chunks, computed once for each version that is known here: a hash costs more than a hit. */
import { chunkPathPrefix } from '#cache/core/chunk.ts';
import type { ObjectHead, ObjectVersion } from '#cache/core/object.ts';

interface Known {
  readonly object: ObjectVersion;
  readonly chunkSizeBytes: number;
  readonly prefix: string;
}

/** By the version's head, which is one object for as long as it is known. */
const known = new WeakMap<ObjectHead, Known>();

export function pathPrefixOf(head: ObjectHead, object: ObjectVersion, chunkSizeBytes: number): string {
  const before = known.get(head);
  if (before !== undefined && before.chunkSizeBytes === chunkSizeBytes && isSame(before.object, object))
    return before.prefix;
  const prefix = chunkPathPrefix(object, chunkSizeBytes);
  known.set(head, { object, chunkSizeBytes, prefix });
  return prefix;
}

function isSame(a: ObjectVersion, b: ObjectVersion): boolean {
  return a.key === b.key && a.bucket === b.bucket && a.originId === b.originId && a.etag === b.etag;
}
