/** A purge, as an administrator runs it in one pod: afterwards every replica queries the origin again. */
import { describe, expect, test } from 'vitest';
import { purge } from '#cache/purge.ts';
import { parseConfig } from '#cache/config/load.ts';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replica } from '#test/support/replicas.ts';

/** The replica's configuration, with the port on which it listens. */
function configOf(replica: Replica) {
  const config = parseConfig(replica.file, { env: {}, memory: { constrainedBytes: 0, totalBytes: 64 * 1024 * MIB } });
  const { port } = new URL(replica.ops);
  return { ...config, listen: { ...config.listen, ops: { ...config.listen.ops, port: Number(port) } } };
}

describe('a purge', () => {
  test('reaches all replicas, and needs the secret', async () => {
    await using cache = await startReplicas({ replicas: 3 });
    const key = "awkward ü+%2F key's (1)!*~";
    const path = `/${BUCKET}/${encodeURIComponent(key)}`;
    const [before, after] = [patternBytes(10_000, 1), patternBytes(12_000, 2)];
    await cache.put(key, before);
    for (const { edge } of cache.all) expect(sha256((await http(edge, path)).body)).toBe(sha256(before));
    await cache.put(key, after);

    const target = `/purge?bucket=${BUCKET}&key=${encodeURIComponent(key)}`;
    const refused = await http(cache.all[0]!.ops, target, { method: 'POST' });
    expect(refused.status).toBe(401);
    expect(refused.body.toString()).toContain('missing');
    expect(sha256((await http(cache.all[1]!.edge, path)).body)).toBe(sha256(before));

    expect(await purge(configOf(cache.all[0]!), { bucket: BUCKET, key })).toEqual({
      deletedChunks: 0,
      deletedBytes: 0,
    });
    await expect
      .poll(async () => {
        const reads = await Promise.all(cache.all.map(({ edge }) => http(edge, path)));
        return reads.every(({ body }) => sha256(body) === sha256(after));
      })
      .toBe(true);
  });

  test('a purge in a bucket that is not served is refused', async () => {
    await using cache = await startReplicas();
    expect(await purge(configOf(cache.all[0]!), { bucket: 'others', key: 'a' })).toMatch(/^404: .*others/);
  });

  test('with chunks, it also deletes what is stored of the object, and nothing else', async () => {
    await using cache = await startReplicas({ replicas: 2 });
    const key = 'd/a';
    for (const [name, sizeMiB] of [
      [key, 3.5],
      ['d/a2', 1],
    ] as const) {
      await cache.put(name, patternBytes(sizeMiB * MIB, 1));
      expect((await http(cache.all[0]!.edge, `/${BUCKET}/${name}`)).status).toBe(200);
    }
    await cache.idle();
    const chunksOf = async (): Promise<number> => (await cache.stored()).size;
    expect(await chunksOf()).toBe(5);
    const purged = await purge(configOf(cache.all[1]!), { bucket: BUCKET, key, chunks: true });
    expect(purged).toEqual({ deletedChunks: 4, deletedBytes: 3.5 * MIB });
    expect(await chunksOf()).toBe(1);
    // The other replica still believes that they are stored.
    cache.forgetMemory();
    const { status, body } = await http(cache.all[0]!.edge, `/${BUCKET}/${key}`);
    expect([status, sha256(body)]).toEqual([200, sha256(patternBytes(3.5 * MIB, 1))]);
    await cache.idle();
    expect(await chunksOf()).toBe(5);
  });
});
