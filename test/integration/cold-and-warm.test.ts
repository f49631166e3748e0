/** Cold and warm reads over HTTP: each byte comes from the origin once, and warm reads work without it. */
import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test, onTestFinished } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replicas, type ReplicasOptions } from '#test/support/replicas.ts';

async function start(options: ReplicasOptions): Promise<Replicas> {
  const replicas = await startReplicas(options);
  onTestFinished(() => replicas[Symbol.asyncDispose]());
  return replicas;
}

const path = (key: string): string => `/${BUCKET}/${key}`;

describe.for(['S3', 'Filesystem'] as const)('with a cachestore of type %s', (store) => {
  test('what was read cold is read warm after the origin has lost it', async () => {
    const cache = await start({ store });
    const [replica] = cache.all;
    const body = patternBytes(5 * MIB + 12_345);
    await cache.put('a.bin', body);
    const cold = await http(replica!.edge, path('a.bin'));
    expect(cold.status).toBe(200);
    expect(cold.headers['x-cache']).toBe('MISS');
    expect(sha256(cold.body)).toBe(sha256(body));
    await cache.idle();
    await cache.remove('a.bin');

    const fromMemory = await http(replica!.edge, path('a.bin'));
    expect(sha256(fromMemory.body)).toBe(sha256(body));
    expect(fromMemory.headers['x-cache']).toBe('HIT');
    cache.forgetMemory();
    const fromStore = await http(replica!.edge, path('a.bin'));
    expect(sha256(fromStore.body)).toBe(sha256(body));
    expect(fromStore.headers['x-cache']).toBe('HIT');
    expect(await replica!.metric('orca_served_bytes_total', { source: 'store' })).toBe(body.length);
    expect(await cache.originProxy.counts('GET')).toEqual({ requests: 6, bodyBytes: body.length });
    await cache.expectNothingHeld();
  });

  test('64 chunks over three replicas: each fills a share, the origin is read once', async () => {
    const cache = await start({ store, replicas: 3 });
    const body = patternBytes(64 * MIB);
    await cache.put('big.bin', body);
    const { body: read } = await http(cache.all[0]!.edge, path('big.bin'));
    expect(sha256(read)).toBe(sha256(body));
    await cache.idle();
    expect(await cache.originProxy.counts('GET')).toEqual({ requests: 64, bodyBytes: body.length });
    for (const replica of cache.all) {
      // Rendezvous hashing gives each a third on average; fewer than 4 of 64 have a chance of one in ten million.
      const filled = await replica.metric('orca_fills_total', { outcome: 'committed' });
      expect(filled).toBeGreaterThanOrEqual(4);
    }
    expect(await cache.total('orca_committed_bytes_total')).toBe(body.length);

    cache.forgetMemory();
    for (const replica of cache.all) {
      const warm = await http(replica.edge, path('big.bin'));
      expect(sha256(warm.body)).toBe(sha256(body));
      expect(warm.headers['x-cache']).toBe('HIT');
    }
    expect((await cache.originProxy.counts('GET')).requests).toBe(64);
    await cache.expectNothingHeld();
  });

  test('50 clients at once over three replicas: one origin read a chunk, and the metrics agree', async () => {
    const cache = await start({ store, replicas: 3 });
    const body = patternBytes(5 * MIB + 7);
    const hash = sha256(body);
    await cache.put('hot.bin', body);
    const reads = Array.from({ length: 50 }, (_, i) => http(cache.all[i % 3]!.edge, path('hot.bin')));
    for (const read of await Promise.all(reads)) {
      expect(read.status).toBe(200);
      expect(read.complete).toBe(true);
      expect(sha256(read.body)).toBe(hash);
    }
    await cache.idle();
    const counted = await cache.originProxy.counts('GET');
    expect(counted).toEqual({ requests: 6, bodyBytes: body.length });
    expect(await cache.total('orca_origin_bytes_total')).toBe(counted.bodyBytes);
    expect(await cache.total('orca_origin_requests_total', { operation: 'read' })).toBe(counted.requests);
    expect(await cache.total('orca_origin_requests_total', { operation: 'head' })).toBe(
      (await cache.originProxy.counts('HEAD')).requests,
    );
    expect(await cache.total('orca_committed_bytes_total')).toBe(body.length);
    expect(await cache.total('orca_served_bytes_total')).toBe(50 * body.length);
    const ofBucket = { bucket: BUCKET };
    expect(await cache.total('orca_bucket_requests_total', ofBucket)).toBe(50);
    expect(await cache.total('orca_bucket_served_bytes_total', ofBucket)).toBe(50 * body.length);
    expect(await cache.total('orca_bucket_origin_bytes_total', ofBucket)).toBe(counted.bodyBytes);
    expect(await cache.total('orca_origin_bytes_saved_total', ofBucket)).toBe(50 * body.length - counted.bodyBytes);
    expect(await cache.total('orca_bucket_origin_requests_total', ofBucket)).toBe(
      await cache.total('orca_origin_requests_total'),
    );
    await cache.expectNothingHeld();
  });

  test('after all replicas restart, warm reads come from the store; only the HEAD reaches the origin', async () => {
    const cache = await start({ store, replicas: 3 });
    const body = patternBytes(9 * MIB);
    await cache.put('kept.bin', body);
    await http(cache.all[0]!.edge, path('kept.bin'));
    await cache.idle();
    await cache.restart();
    cache.originProxy.reset();
    cache.originProxy.inject({ when: ({ method }) => method !== 'HEAD', action: { kind: 'answer', status: 500 } });
    for (const replica of cache.all) {
      const warm = await http(replica.edge, path('kept.bin'));
      expect(sha256(warm.body)).toBe(sha256(body));
    }
    expect(cache.originProxy.hits).toBe(0);
    expect(await cache.total('orca_origin_bytes_total')).toBe(0);
    await cache.expectNothingHeld();
  });
});

describe('ranges', () => {
  test('at and across chunk boundaries, open, suffix, and past the end, for a plain client and the SDK', async () => {
    const cache = await start({});
    const { edge } = cache.all[0]!;
    const size = 3 * MIB + 1_000;
    const body = patternBytes(size);
    await cache.put('r.bin', body);
    const sdk = new S3Client({
      endpoint: edge,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
    onTestFinished(() => sdk.destroy());
    const cases: [string, number, number][] = [
      ['bytes=0-0', 0, 1],
      [`bytes=${MIB - 1}-${MIB - 1}`, MIB - 1, MIB],
      [`bytes=${MIB}-${MIB}`, MIB, MIB + 1],
      [`bytes=${MIB - 1}-${MIB}`, MIB - 1, MIB + 1],
      [`bytes=${MIB - 10}-${3 * MIB + 9}`, MIB - 10, 3 * MIB + 10],
      [`bytes=${MIB}-${2 * MIB - 1}`, MIB, 2 * MIB],
      [`bytes=${3 * MIB}-`, 3 * MIB, size],
      ['bytes=-1', size - 1, size],
      [`bytes=-${MIB + 1_000}`, 2 * MIB, size],
      [`bytes=-${size + 5}`, 0, size],
      [`bytes=${size - 1}-${size + 100}`, size - 1, size],
    ];
    // Cold in this order, then out of the store, then out of memory: every source answers every range.
    for (const pass of ['cold', 'store', 'memory']) {
      if (pass === 'store') cache.forgetMemory();
      for (const [range, from, to] of cases) {
        const answer = await http(edge, path('r.bin'), { headers: { range } });
        expect(answer.status).toBe(206);
        expect(answer.headers['content-range']).toBe(`bytes ${from}-${to - 1}/${size}`);
        expect(answer.headers['content-length']).toBe(String(to - from));
        expect(answer.body.equals(body.subarray(from, to))).toBe(true);
        const sdkAnswer = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'r.bin', Range: range }));
        const bytes = await sdkAnswer.Body!.transformToByteArray();
        expect(body.subarray(from, to).equals(bytes)).toBe(true);
      }
      await cache.idle();
    }
    // Small ranges first take blocks of their chunk; the fill reuses them, so that each byte comes once.
    expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(size);
    const head = await sdk.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'r.bin' }));
    expect(head.ContentLength).toBe(size);
    await cache.expectNothingHeld();
  });

  test('behind the end is 416 with its document, and the size in Content-Range', async () => {
    const cache = await start({});
    await cache.put('short.bin', patternBytes(100));
    const answer = await http(cache.all[0]!.edge, path('short.bin'), { headers: { range: 'bytes=100-' } });
    expect(answer.status).toBe(416);
    expect(answer.headers['content-range']).toBe('bytes */100');
    const text = answer.body.toString();
    expect(text).toContain('<Code>InvalidRange</Code>');
    expect(text).toContain('<RangeRequested>bytes=100-</RangeRequested>');
    expect(text).toContain('<ActualObjectSize>100</ActualObjectSize>');
    expect(text).toContain(`<RequestId>${String(answer.headers['x-amz-request-id'])}</RequestId>`);
    expect(await cache.originProxy.counts('GET')).toMatchObject({ requests: 0 });
  });
});
