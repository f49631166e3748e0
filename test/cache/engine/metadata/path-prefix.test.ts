import { expect, test } from 'vitest';
import { chunkPathPrefix } from '#cache/core/chunk.ts';
import { pathPrefixOf } from '#cache/engine/metadata/path-prefix.ts';

const HEAD = { etag: 'e', sizeBytes: 10, lastModifiedMs: 0, headers: {} };
const OBJECT = { originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes: 10 };

test('is that of the object and chunk size, whatever else was computed for the same head', () => {
  const others = [
    OBJECT,
    { ...OBJECT, key: 'k2' },
    { ...OBJECT, bucket: 'b2' },
    { ...OBJECT, originId: 'o2' },
    { ...OBJECT, etag: 'e2' },
  ];
  for (const object of [...others, ...others.toReversed()])
    for (const chunkSizeBytes of [1024, 2048, 1024])
      expect(pathPrefixOf(HEAD, object, chunkSizeBytes)).toBe(chunkPathPrefix(object, chunkSizeBytes));
});
