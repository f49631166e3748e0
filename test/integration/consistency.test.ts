/** What readers see of overwrites, with real listeners, replicas and S3 servers. */
import { expect, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, startReplicas } from '#test/support/replicas.ts';

const ROUNDS = 40;
const READERS = 20;

test('with metadata.ttl 0s each replica serves a write as soon as it has ended', async () => {
  await using cache = await startReplicas({ replicas: 2, changes: { 'metadata.ttl': '0s' } });
  const path = `/${BUCKET}/object`;
  for (let round = 0; round < ROUNDS; round++) {
    const body = patternBytes(10_000 + round, round);
    await cache.put('object', body);
    for (const { edge } of cache.all) {
      const answer = await http(edge, path);
      expect([round, answer.status, sha256(answer.body)]).toEqual([round, 200, sha256(body)]);
      expect(answer.headers['age']).toBe('0');
    }
  }
  // One for each read, whichever replica sends it.
  expect((await cache.originProxy.counts('HEAD')).requests).toBe(2 * ROUNDS);
});

test('concurrent reads share their HEADs, and none sees a version from before it began', async () => {
  await using cache = await startReplicas({ replicas: 2, changes: { 'metadata.ttl': '0s' } });
  const path = `/${BUCKET}/object`;
  const versionOf = async (edge: string) => {
    const { status, headers } = await http(edge, path, { method: 'HEAD' });
    expect(status).toBe(200);
    // The length is the version.
    return Number(headers['content-length']);
  };
  let written = 0;
  let reads = 0;
  let isDone = false;
  const write = async () => {
    await cache.put('object', patternBytes(written + 1, 1));
    written++;
  };
  await write();
  const readers = cache.all.flatMap(({ edge }) =>
    Array.from({ length: READERS }, async () => {
      while (!isDone) {
        const before = written;
        expect(await versionOf(edge)).toBeGreaterThanOrEqual(before);
        reads++;
      }
    }),
  );
  try {
    for (let round = 0; round < ROUNDS; round++) await write();
  } finally {
    isDone = true;
  }
  await Promise.all(readers);
  const { requests } = await cache.originProxy.counts('HEAD');
  expect(reads).toBeGreaterThan(2 * READERS);
  expect(requests).toBeLessThan(reads / 3);
});
