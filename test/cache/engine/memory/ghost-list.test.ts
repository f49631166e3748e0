import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { GhostList } from '#cache/engine/memory/ghost-list.ts';

const path = (name: string | number) => `o/h/${name}` as ChunkPath;

test('the first touch of a chunk is not a repeated one, the second and later ones are', () => {
  const ghosts = new GhostList();
  expect([1, 2, 3].map(() => ghosts.touch(path('a')))).toEqual([false, true, true]);
  expect(ghosts.touch(path('b'))).toBe(false);
});

test('a chunk that is touched from time to time stays listed, other chunks are forgotten', () => {
  const ghosts = new GhostList();
  ghosts.touch(path('once'));
  for (let i = 0; i < 40_000; i++) {
    ghosts.touch(path(i));
    if (i % 4_000 === 0) expect(ghosts.touch(path('hot'))).toBe(i > 0);
  }
  expect(ghosts.touch(path('once'))).toBe(false);
  expect(ghosts.touch(path(39_999))).toBe(true);
});
