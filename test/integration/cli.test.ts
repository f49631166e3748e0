/** `kubectl orca` with real replicas, an S3 server as the origin and one as the cachestore. */
import { expect, test } from 'vitest';
import { connect } from '#cache/cli/cluster/connect.ts';
import { systemClock } from '#shared/clock.ts';
import { healthyWorld, runCli } from '#test/support/cli-world.ts';
import { patternBytes } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, MIB, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';

function open(cache: Replicas) {
  const urls = cache.all.map(({ ops }) => ops).join(',');
  const cli = (line: string) => runCli(`${line} --pod-url ${urls}`, healthyWorld(), { connect, clock: systemClock });
  return async (line: string): Promise<Record<string, unknown>> => {
    const { exitCode, out, err } = await cli(`${line} -o json`);
    expect([line, err, exitCode]).toEqual([line, '', 0]);
    return JSON.parse(out) as Record<string, unknown>;
  };
}

function versionsOf(list: Record<string, unknown>): { versionHex: string; sizeBytes: number }[] {
  const items = list['items'] as readonly { version: string; sizeBytes: number }[];
  return items.map(({ version, sizeBytes }) => ({ versionHex: version, sizeBytes }));
}

test('ls, du and explain show what was read, and where it is', async () => {
  await using cache = await startReplicas({ replicas: 2 });
  const ask = open(cache);
  const key = "awkward ü+%2F key's";
  for (const [name, sizeMiB] of [
    [`d/${key}`, 3.5],
    ['d/unread', 2],
    ['other', 1],
  ] as const)
    await cache.put(name, patternBytes(sizeMiB * MIB, 1));
  const range = { headers: { range: `bytes=0-${2 * MIB - 1}` } };
  const { status } = await http(cache.all[0]!.edge, `/${BUCKET}/d/${encodeURIComponent(key)}`, range);
  expect(status).toBe(206);
  await cache.idle();

  const list = await ask(`ls s3://${BUCKET}/d/`);
  expect(list['items']).toMatchObject([
    { key: `d/${key}`, sizeBytes: 3.5 * MIB, chunkCount: 4, storedBytes: 2 * MIB, storedChunks: 2 },
    { key: 'd/unread', storedBytes: 0, storedChunks: 0, pinnedBy: [], lastReadMs: null },
  ]);
  // Reads are reported once a minute, to the replica that counts the shard.
  await cache.all[0]!.cache.engine.capacity.pins.put(
    { name: 'by-hand', expiresMs: null, versions: versionsOf(list) },
    new AbortController().signal,
  );
  const pinned = await ask(`ls s3://${BUCKET}/d/`);
  expect(pinned['items']).toMatchObject([{ pinnedBy: ['by-hand'] }, { pinnedBy: ['by-hand'] }]);
  expect((await ask('pins'))['items']).toMatchObject([{ name: 'by-hand', prewarm: null, versions: 2 }]);
  expect((await ask(`ls s3://${BUCKET}/ --cached`))['items']).toHaveLength(1);
  expect(await ask(`du s3://${BUCKET}/d/`)).toMatchObject({ objects: 2, sizeBytes: 5.5 * MIB, storedBytes: 2 * MIB });

  const { chunks, askedPods } = (await ask(`explain s3://${BUCKET}/d/unread`)) as {
    chunks: unknown;
    askedPods: unknown;
  };
  expect(askedPods).toHaveLength(2);
  expect(chunks).toMatchObject([
    { stored: false, read: 'origin' },
    { stored: false, read: 'origin' },
  ]);
});

test('status, top and doctor of a healthy cache', async () => {
  await using cache = await startReplicas({ replicas: 2 });
  const ask = open(cache);
  await cache.put('a', patternBytes(MIB, 1));
  for (let time = 0; time < 4; time++) await http(cache.all[0]!.edge, `/${BUCKET}/a`);
  const { items } = (await ask('status')) as { items: [Record<string, unknown>] };
  expect(items[0]).toMatchObject({
    replicas: { ready: 2, answering: 2 },
    window: { requests: 4, servedBytes: 4 * MIB },
  });
  expect((await ask('top'))['slowest']).not.toHaveLength(0);
  const healthy = (await ask('doctor')) as { items: [{ troubles: { level: string }[] }] };
  expect(healthy.items[0].troubles.filter(({ level }) => level === 'error')).toEqual([]);
});

test('doctor finds a missing bucket, replicas that do not know each other, and a cachestore that is down', async () => {
  await using cache = await startReplicas({
    replicas: 2,
    peersOf: (index, addresses) => [addresses[index]!],
    changes: {
      'origin.buckets': [
        { name: BUCKET, originBucket: ORIGIN_BUCKET },
        { name: 'absent', originBucket: 'no-such-bucket' },
      ],
    },
  });
  const found = async (): Promise<readonly string[]> => {
    const urls = cache.all.map(({ ops }) => ops).join(',');
    const { out } = await runCli(`doctor -o json --pod-url ${urls}`, healthyWorld(), { connect, clock: systemClock });
    const { items } = JSON.parse(out) as { items: [{ troubles: { check: string }[] }] };
    return items[0].troubles.map(({ check }) => check);
  };
  await expect
    .poll(found, { timeout: 60_000, interval: 500 })
    .toEqual(expect.arrayContaining(['origin-buckets', 'peers']));
  expect(await found()).not.toContain('store');

  await cache.put('a', patternBytes(MIB, 1));
  cache.storeProxy.inject({ action: { kind: 'answer', status: 503 } });
  // Reads fail over to the origin; the breaker opens after some of them.
  await expect
    .poll(
      async () => {
        await http(cache.all[0]!.edge, `/${BUCKET}/a`);
        return found();
      },
      { timeout: 60_000, interval: 200 },
    )
    .toContain('store');
});
