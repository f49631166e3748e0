/** The cache image under a memory limit like a pod's; the memory budget defaults to half of the limit. */
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MOUNT } from '#crds/names.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { http } from '#test/support/http.ts';
import { startLoadThread } from '#test/support/load-thread.ts';
import { readMetric } from '#test/support/metric.ts';
import { startSyntheticOrigin, startSyntheticStore } from '#test/support/synthetic-s3.ts';
import { TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';
import { until } from '#test/support/until.ts';
import { IMAGE, startLimited } from '#test/containers/support.ts';

const MIB = 1024 * 1024;
const LIMIT_BYTES = 512 * MIB;
const READERS = 200;
const BYTES_PER_SECOND = 100_000;
const CHUNK_BYTES = 8 * MIB;
/** Much more than the socket buffers between cache and reader hold, so that a slow reader stalls its response. */
const SIZE_BYTES = CHUNK_BYTES + 2 * MIB;
const BUCKET = 'models';
const START_LIMIT_MS = 60_000;

describe.each([
  ['HTTP', false],
  ['HTTPS', true],
])('with a limit of twice its budget, over %s', (_, tls) => {
  test(
    '200 readers at 100 KB/s do not cause an OOM kill, and each reads its whole object',
    { timeout: 300_000 },
    async () => {
      const parts = new AsyncDisposableStack();
      onTestFinished(() => parts.disposeAsync());
      const origin = parts.use(await startSyntheticOrigin());
      const store = parts.use(await startSyntheticStore());
      const keys = Array.from({ length: READERS }, (_, index) => `${SIZE_BYTES}-reader-${index}`);
      store.expect({ originId: 'far', bucket: BUCKET }, keys, CHUNK_BYTES);
      const [edge, peer, ops] = [await freePort(), await freePort(), await freePort()];
      const s3 = (endpoint: string) => `{endpoint: "${endpoint}", region: us-east-1, forcePathStyle: true}`;
      const cache = await startLimited(IMAGE.cache, LIMIT_BYTES, {
        files: {
          [join(MOUNT.edgeTls, 'tls.crt')]: TEST_CERTIFICATE,
          [join(MOUNT.edgeTls, 'tls.key')]: TEST_KEY,
          [MOUNT.config]: `
origin: {id: far, type: S3, s3: ${s3(origin.endpoint)}, buckets: [{name: ${BUCKET}}]}
cacheStore: {type: S3, s3: {endpoint: "${store.endpoint}", region: us-east-1, forcePathStyle: true, bucket: chunks}}
chunking: {size: ${CHUNK_BYTES / MIB}Mi, tiers: []}
listen: {edge: "127.0.0.1:${edge}", peer: "127.0.0.1:${peer}", ops: "127.0.0.1:${ops}"}
edge: ${tls ? `{tls: {directory: ${MOUNT.edgeTls}}}` : '{}'}
peers: {type: Static, self: "127.0.0.1:${peer}", static: {peers: ["127.0.0.1:${peer}"]}}
`,
        },
        environment: {
          ORCA_ORIGIN_ACCESS_KEY_ID: 'any',
          ORCA_ORIGIN_SECRET_ACCESS_KEY: 'not-a-secret',
          ORCA_CACHESTORE_ACCESS_KEY_ID: 'any',
          ORCA_CACHESTORE_SECRET_ACCESS_KEY: 'not-a-secret',
        },
      });
      const opsUrl = `http://127.0.0.1:${ops}`;
      let isReady = false;
      const polling = setInterval(
        () => void http(opsUrl, '/readyz').then(({ status }) => (isReady ||= status === 200)),
        200,
      );
      onTestFinished(() => clearInterval(polling));
      await until(() => isReady, 'the cache is ready', START_LIMIT_MS);
      clearInterval(polling);
      expect(await readMetric(opsUrl, 'orca_memory_budget_bytes')).toBe(LIMIT_BYTES / 2);

      const clients = parts.use(startLoadThread());
      const readers = keys.map((key) =>
        clients.start(`${tls ? 'https' : 'http'}://127.0.0.1:${edge}`, BUCKET, key, BYTES_PER_SECOND),
      );
      await until(() => readers.every(({ gotBytes }) => gotBytes > 0), 'each reader has received bytes', 120_000);
      await expect
        .poll(() => readMetric(opsUrl, 'orca_stalls_total', { outcome: 'buffers_released' }), {
          timeout: 60_000,
          interval: 500,
        })
        .toBeGreaterThanOrEqual(READERS / 2);
      expect(readers.filter(({ isOver }) => isOver)).toEqual([]);
      for (const reader of readers) reader.hurry();
      expect(new Set(await Promise.all(readers.map(({ ended }) => ended)))).toEqual(new Set(['whole']));
      expect(await cache.isOutOfMemory()).toBe(false);
      expect(await cache.isRunning()).toBe(true);
      expect([origin.counts.bytes, store.problems]).toEqual([READERS * SIZE_BYTES, []]);
    },
  );
});
