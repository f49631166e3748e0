/** Replicas that know each other by IPv6, and a listener on `::`, which serves clients of both families. */
import { expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replicas, type ReplicasOptions } from '#test/support/replicas.ts';

async function start(options: ReplicasOptions): Promise<Replicas> {
  const replicas = await startReplicas(options);
  onTestFinished(() => replicas[Symbol.asyncDispose]());
  return replicas;
}

test('three replicas on IPv6 addresses read the origin once', async () => {
  const cache = await start({ replicas: 3, host: '::1' });
  const body = patternBytes(40 * MIB);
  await cache.put('big.bin', body);
  const reads = await Promise.all(cache.all.map(({ edge }) => http(edge, `/${BUCKET}/big.bin`)));
  expect(reads.map(({ body: read }) => sha256(read))).toEqual(Array.from({ length: 3 }, () => sha256(body)));
  await cache.idle();
  expect(await cache.originProxy.counts('GET')).toEqual({ requests: 40, bodyBytes: body.length });
  for (const replica of cache.all) {
    expect(replica.address).toMatch(/^\[::1\]:\d+$/);
    expect(await replica.metric('orca_fills_total', { outcome: 'committed' })).toBeGreaterThan(0);
  }
});

test('a listener on :: serves both families, and logs IPv4 clients by their IPv4 address', async () => {
  const anywhere = { 'listen.edge': '[::]:0', 'listen.ops': '[::]:0' };
  const cache = await start({ changes: { ...anywhere, 'edge.accessLog': { format: 's3' }, logLevel: 'info' } });
  const [replica] = cache.all;
  const body = patternBytes(MIB);
  await cache.put('a.bin', body);
  const { edge, ops } = replica!.cache.ports;
  for (const host of ['127.0.0.1', '[::1]']) {
    const read = await http(`http://${host}:${edge}`, `/${BUCKET}/a.bin`);
    expect(sha256(read.body)).toBe(sha256(body));
    expect((await http(`http://${host}:${ops}`, '/livez')).status).toBe(200);
  }
  const clients = replica!.logLines.map((line) => /^\S+ models \[[^\]]+\] (\S+) /.exec(line)?.[1]);
  expect(clients).toEqual(['127.0.0.1', '::1']);
});
