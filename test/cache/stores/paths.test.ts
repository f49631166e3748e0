import { expect, test } from 'vitest';
import { chunkAt, type ChunkPath } from '#cache/core/chunk.ts';
import { chunkKey, smallKey } from '#cache/stores/paths.ts';

const HASH = 'a'.repeat(64);

test('the path of a chunk is its key', () => {
  const object = { originId: 'models-eu.1', bucket: 'b', key: '../../etc/passwd', etag: 'e', sizeBytes: 10 };
  const chunk = chunkAt(object, 5, 1);
  expect(chunkKey(chunk)).toBe(chunk.path);
});

test.for([
  `../${HASH}/0`,
  `o/../${HASH}/0`,
  `/o/${HASH}/0`,
  `a..b/${HASH}/0`,
  `.hidden/${HASH}/0`,
  `_orca/${HASH}/0`,
  `o/${HASH.slice(1)}/0`,
  `o/${HASH.toUpperCase()}/0`,
  `o/${HASH}/-1`,
  `o/${HASH}/01`,
  `o/${HASH}/0/..`,
  `o/${HASH}/0\n`,
  `o/${HASH}`,
  '',
])('%j is not a chunk path', (path) => {
  expect(() => chunkKey({ path: path as ChunkPath })).toThrow(expect.objectContaining({ code: 'internal' }));
});

test.for(['_orca/identity/models-eu', `_orca/manifests/o/${HASH}`, '_orca/probe/1-2_3.x'])(
  '%s is the name of a small object',
  (name) => {
    expect(smallKey(name)).toBe(name);
  },
);

test.for([
  '_orca',
  '_orca/',
  '_orca/../x',
  '_orca/a/../../x',
  '_orca//x',
  '_orca/.x',
  'orca/x',
  '/_orca/x',
  '_orca/x/',
  '_orca/a b',
])('%j is not the name of a small object', (name) => {
  expect(() => smallKey(name)).toThrow(expect.objectContaining({ code: 'internal' }));
});
