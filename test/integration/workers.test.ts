/** Pods with several workers: real processes that share a port. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { http, sha256 } from '#test/support/http.ts';
import { syntheticBytes } from '#test/support/synthetic-content.ts';
import { startSyntheticOrigin, type SyntheticOrigin } from '#test/support/synthetic-s3.ts';
import { startWorkerPods, type WorkerPods } from '#test/support/worker-pods.ts';

const MIB = 1024 * 1024;
const hashOf = (key: string, sizeBytes: number): string =>
  sha256(Buffer.concat([...syntheticBytes(key, 0, sizeBytes)]));

describe('two pods with two workers each', () => {
  let origin: SyntheticOrigin;
  let cluster: WorkerPods;
  beforeAll(async () => {
    origin = await startSyntheticOrigin();
    cluster = await startWorkerPods({ pods: 2, workers: 2, originEndpoint: origin.endpoint });
  }, 60_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  });

  test('are four peers, and each worker has its own identity', async () => {
    const workers = await Promise.all(cluster.pods.map((pod) => pod.workers()));
    expect(workers.flat().map(({ state, ready, restarts }) => ({ state, ready, restarts }))).toEqual(
      Array.from({ length: 4 }, () => ({ state: 'running', ready: true, restarts: 0 })),
    );
    expect(new Set(workers.flat().map(({ self }) => self)).size).toBe(4);
    expect(await cluster.pods[0]!.metric('orca_peers')).toBe(4);
    expect(await cluster.pods[0]!.metric('orca_workers')).toBe(2);
  });

  test('a cold object that many clients read comes from the origin once', async () => {
    const key = `${8 * MIB}-once`;
    const before = origin.counts.bytes;
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, index) => http(cluster.pods[index % 2]!.edge, `/${cluster.bucket}/${key}`)),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${sha256(body)}`))).toEqual(
      new Set([`200 ${hashOf(key, 8 * MIB)}`]),
    );
    expect(origin.counts.bytes - before).toBe(8 * MIB);
    const requests = await Promise.all(
      cluster.pods.map((pod) => pod.metric('orca_edge_requests_total', { code: '200' })),
    );
    expect(requests[0]! + requests[1]!).toBe(24);
  });
});
