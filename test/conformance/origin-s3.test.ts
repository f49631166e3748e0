import { expect, test } from 'vitest';
import { openS3Origin } from '#cache/origins/s3/origin.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { startConnectProxy } from '#test/support/connect-proxy.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { startVersitygw } from '#test/support/versitygw.ts';
import { originListSuite } from '#test/conformance/suites/origin-list.ts';
import { originVersionsSuite } from '#test/conformance/suites/origin-versions.ts';
import { originSuite, type OriginFixture } from '#test/conformance/suites/origin.ts';

/** versitygw rejects 1024 bytes; the driver's unit tests send such a key. */
const LONGEST_KEY_BYTES = 1023;

const open = async (): Promise<OriginFixture> => {
  const gateway = await startVersitygw({ buckets: ['bucket'] });
  const origin = openS3Origin(gateway.client);
  return {
    origin,
    bucket: 'bucket',
    put: (key, body, headers) => gateway.putObject('bucket', key, body, headers),
    remove: (key) => gateway.deleteObject('bucket', key),
    async [Symbol.asyncDispose]() {
      await origin.close();
      await gateway[Symbol.asyncDispose]();
    },
  };
};

originSuite('S3 (versitygw)', open, { longestKeyBytes: LONGEST_KEY_BYTES });
originListSuite('S3 (versitygw)', open);

originVersionsSuite(
  'S3 (versitygw)',
  async () => {
    const gateway = await startVersitygw({ buckets: ['bucket'], versioning: true });
    const origin = openS3Origin(gateway.client);
    return {
      origin,
      bucket: 'bucket',
      keepVersions: () => gateway.setVersioning('bucket', 'Enabled'),
      put: (key, body) => gateway.putObject('bucket', key, body),
      async remove(key) {
        const { headers } = await gateway.request('DELETE', 'bucket', key);
        return headers['x-amz-version-id'] ?? '';
      },
      async [Symbol.asyncDispose]() {
        await origin.close();
        await gateway[Symbol.asyncDispose]();
      },
    };
  },
  2,
);

const openThroughProxy = async (): Promise<OriginFixture> => {
  const gateway = await startVersitygw({ buckets: ['bucket'] });
  const proxy = await startConnectProxy();
  const origin = openS3Origin({ ...gateway.client, env: { HTTP_PROXY: proxy.url } });
  return {
    origin,
    bucket: 'bucket',
    put: (key, body, headers) => gateway.putObject('bucket', key, body, headers),
    remove: (key) => gateway.deleteObject('bucket', key),
    async [Symbol.asyncDispose]() {
      expect(proxy.targets).not.toEqual([]);
      await origin.close();
      await proxy[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
    },
  };
};

originListSuite('S3 through a proxy', openThroughProxy);

test.for(['fin', 'reset'] as const)(
  'a body truncated by a %s is origin_unavailable, and the received bytes are good',
  async (how) => {
    await using gateway = await startVersitygw({ buckets: ['bucket'] });
    await using proxy = await startCuttingProxy(gateway.endpoint);
    const body = patternBytes(2_000_000);
    await gateway.putObject('bucket', 'key', body);
    const origin = openS3Origin({ ...gateway.client, endpoint: proxy.endpoint });
    const signal = new AbortController().signal;
    try {
      const { etag, sizeBytes } = await origin.head('bucket', 'key', { signal });
      const object = { originId: 'test', bucket: 'bucket', key: 'key', etag, sizeBytes };
      await origin.close();
      proxy.cutNext({ direction: 'down', afterBytes: 700_000, how });
      const cut = openS3Origin({ ...gateway.client, endpoint: proxy.endpoint });
      const sink = collectSink();
      await expect(cut.read(object, { from: 0, to: sizeBytes }, sink, { signal })).rejects.toMatchObject({
        code: 'origin_unavailable',
      });
      expect(proxy.cuts).toBe(1);
      expect(sink.lengthBytes).toBeLessThan(700_000);
      expect(sink.bytes().equals(body.subarray(0, sink.lengthBytes))).toBe(true);
      if (how === 'fin') expect(sink.lengthBytes).toBeGreaterThan(0);

      // A second read continues after the received bytes, as a resumed part does.
      proxy.cutNext(undefined);
      await cut.read(object, { from: sink.lengthBytes, to: sizeBytes }, sink, { signal });
      expect(sink.bytes().equals(body)).toBe(true);
      await cut.close();
    } finally {
      await origin.close();
    }
  },
);

test('a stopped origin is origin_unavailable, and works again after a restart', async () => {
  await using gateway = await startVersitygw({ buckets: ['bucket'] });
  await gateway.putObject('bucket', 'key', 'hello');
  const origin = openS3Origin(gateway.client);
  const signal = new AbortController().signal;
  expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ sizeBytes: 5 });
  await gateway.stop();
  await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
  await gateway.start();
  expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ sizeBytes: 5 });
  await origin.close();
});

test('a wrong secret is origin_denied, not a missing object', async () => {
  await using gateway = await startVersitygw({ buckets: ['bucket'] });
  await gateway.putObject('bucket', 'key', 'hello');
  process.env['ORCA_TEST_WRONG_SECRET'] = 'wrong';
  const origin = openS3Origin({
    ...gateway.client,
    credentials: {
      kind: 'env',
      accessKeyIdVar: 'ORCA_TEST_ACCESS_KEY_ID',
      secretAccessKeyVar: 'ORCA_TEST_WRONG_SECRET',
    },
  });
  const { signal } = new AbortController();
  await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  await expect(origin.head('bucket', 'missing', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  await origin.close();
});
