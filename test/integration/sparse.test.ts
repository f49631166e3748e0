/** Small reads of a large cold object over HTTP: the origin's bytes, counted by a proxy. */
import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { patternBytes } from '#test/support/engines.ts';
import { createGate } from '#test/support/gate.ts';
import { http, type HttpAnswer } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  ORIGIN_BUCKET,
  ORIGIN_ID,
  startReplicas,
  type Replica,
  type Replicas,
} from '#test/support/replicas.ts';

const KIB = 1024;
const BLOCK = 64 * KIB;
const CHUNK = 8 * MIB;
const LIMIT_MS = 30_000;

async function start(): Promise<Replicas> {
  const tiers = [{ minObjectSize: '16Mi', chunkSize: '8Mi' }];
  const cache = await startReplicas({ replicas: 3, changes: { 'chunking.tiers': tiers } });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

function get({ edge }: Replica, from: number, length = 4 * KIB): Promise<HttpAnswer> {
  return http(edge, `/${BUCKET}/big.bin`, { headers: { range: `bytes=${from}-${from + length - 1}` } });
}

test('4 KiB of each chunk, through any replica: 64 KiB from the origin, until reads have paid for the chunk', async () => {
  const cache = await start();
  const body = patternBytes(4 * CHUNK + 1_000_000);
  await cache.put('big.bin', body);
  const offsets = [body.length - 4 * KIB - 5, 0, CHUNK + 4 * KIB, 3 * CHUNK - 4 * KIB];
  for (const [number, from] of offsets.entries()) {
    const { status, headers, body: bytes } = await get(cache.all[number % 3]!, from);
    expect(status).toBe(206);
    expect(bytes.equals(body.subarray(from, from + 4 * KIB))).toBe(true);
    expect(headers['x-cache']).toBe('MISS');
    const { requests, bodyBytes } = await cache.originProxy.counts('GET');
    expect(requests).toBe(number + 1);
    expect(bodyBytes).toBeLessThanOrEqual((number + 1) * BLOCK);
  }
  await cache.idle();
  expect((await cache.stored()).size).toBe(0);
  const { bodyBytes: sparseBytes } = await cache.originProxy.counts('GET');
  expect(await cache.total('orca_sparse_bytes_total', { kind: 'read' })).toBe(sparseBytes);
  expect(await cache.total('orca_sparse_bytes_total', { kind: 'excess' })).toBe(sparseBytes - 4 * 4 * KIB);
  expect(await cache.total('orca_sparse_reads_total', { source: 'origin' })).toBe(4);

  // With the first one, 103 reads of 4 KiB pay for a chunk of 8 MiB: 80 KiB each.
  for (let read = 1; read < 103; read++) {
    const from = (read % 8) * 8 * KIB;
    const again = await get(cache.all[read % 3]!, from);
    expect(again.body.equals(body.subarray(from, from + 4 * KIB))).toBe(true);
  }
  await cache.idle();
  expect((await cache.stored()).size).toBe(1);
  // The block that was there is not sent a second time.
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(sparseBytes + CHUNK - BLOCK);
  expect(await cache.total('orca_committed_bytes_total')).toBe(CHUNK);
  await cache.expectNothingHeld();
});

// The origin counts as unavailable after three times 2 s. A busy machine may take longer for 100 requests: retry.
test('100 clients at once on one footer cost one origin read', { retry: 2 }, async () => {
  const cache = await start();
  const body = patternBytes(2 * CHUNK);
  await cache.put('big.bin', body);
  const from = body.length - 4 * KIB;
  const gate = createGate();
  gate.hold();
  cache.originProxy.inject({
    when: ({ method }) => method === 'GET',
    action: { kind: 'stall', afterBytes: 0, gate },
  });
  const etag = createHash('md5').update(body).digest('hex');
  const object = { originId: ORIGIN_ID, bucket: ORIGIN_BUCKET, key: 'big.bin', etag, sizeBytes: body.length };
  const addresses = cache.all.map(({ address }) => address);
  const [coordinator] = rankPeers(chunkAt(object, CHUNK, 1).path, addresses, 1);
  await http(cache.all[0]!.edge, `/${BUCKET}/big.bin`, { method: 'HEAD' });
  // All at the replica that reads it: how many of them have come can be counted there.
  const replica = cache.all.find(({ address }) => address === coordinator)!;
  const reads = Array.from({ length: 100 }, () => get(replica, from));
  const answered = () => replica.metric('orca_sparse_reads_total');
  await expect.poll(answered, { timeout: LIMIT_MS }).toBe(100);
  gate.release();
  for (const { status, body: bytes } of await Promise.all(reads)) {
    expect(status).toBe(206);
    expect(bytes.equals(body.subarray(from))).toBe(true);
  }
  await cache.idle();
  expect(await replica.metric('orca_sparse_reads_total', { source: 'joined' })).toBe(99);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(BLOCK);
  await cache.expectNothingHeld();
});
