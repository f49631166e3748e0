/** Prewarms with real replicas, stores and a fake API server in place of the operator. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePrewarmReports, PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replicas } from '#test/support/replicas.ts';

const NAMESPACE = 'ml';
const CACHE = 'models';
const COLLECTION = `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcaprewarms`;
const LIMIT_MS = 60_000;

let api: FakeApiServer;
let cluster: Replicas;

beforeAll(async () => {
  api = await openFakeApiServer({ kinds: { orcaprewarms: 'OrcaPrewarm' } });
  cluster = await startReplicas({
    replicas: 3,
    kube: api.client(),
    changes: { prewarms: { namespace: NAMESPACE, cache: CACHE } },
  });
}, LIMIT_MS);

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await api?.close();
});

function prewarm(name: string, spec: object, status: object = { runs: 1, activeRun: 1 }): void {
  api.put(`${COLLECTION}/${name}`, {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaPrewarm',
    metadata: { name, namespace: NAMESPACE },
    spec: { cacheRef: { name: CACHE }, ...spec },
    status,
  });
}

async function reports(name: string): Promise<PrewarmReport[]> {
  const all = await Promise.all(
    cluster.all.map(async ({ ops }) => parsePrewarmReports((await http(ops, PREWARMS_PATH)).body.toString())),
  );
  return all.flat().filter((report) => report.name === name);
}

async function finished(name: string): Promise<PrewarmReport> {
  await expect
    .poll(async () => (await reports(name)).map(({ state }) => state), { timeout: LIMIT_MS, interval: 50 })
    .toEqual(['finished']);
  const [report] = await reports(name);
  if (report === undefined) throw new Error(`${name} is not reported any more`);
  return report;
}

/** Objects of unusual names, from empty to a few chunks. */
async function putObjects(prefix: string): Promise<{ readonly keys: string[]; readonly sizeBytes: number }> {
  const sizes = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7];
  const names = ['a', 'b b', 'c+c', 'ü/é', '%41', 'z'];
  const keys = names.map((name) => `${prefix}${name}`);
  let sizeBytes = 0;
  for (const [index, key] of keys.entries()) {
    const size = sizes[index] ?? 0;
    sizeBytes += size;
    await cluster.put(key, randomBytes(size));
  }
  return { keys, sizeBytes };
}

describe('a prewarm', () => {
  it(
    'is walked by one replica, which reports it, and every chunk is stored then',
    async () => {
      const { keys, sizeBytes } = await putObjects('first/');
      await putObjects('other/');
      const before = await cluster.total('orca_origin_bytes_total');
      prewarm('first', { targets: [{ bucket: BUCKET, prefix: 'first/' }] });
      const report = await finished('first');
      expect(report).toMatchObject({
        run: 1,
        listed: true,
        objects: { total: keys.length, done: keys.length, failed: 0 },
        bytes: { total: sizeBytes, done: sizeBytes, fromOrigin: sizeBytes, alreadyStored: 0 },
        failures: [],
        pin: 'none',
        message: '',
      });
      expect((await cluster.total('orca_origin_bytes_total')) - before).toBe(sizeBytes);
      cluster.forgetMemory();
      for (const [index, key] of keys.entries()) {
        const { status } = await http(cluster.all[index % 3]?.edge ?? '', `/${BUCKET}/${encodeURIComponent(key)}`);
        expect(status).toBe(200);
      }
      expect((await cluster.total('orca_origin_bytes_total')) - before).toBe(sizeBytes);
    },
    LIMIT_MS,
  );

  it(
    'reads its keys from an object and from a ConfigMap',
    async () => {
      const { keys, sizeBytes } = await putObjects('listed/');
      await cluster.put('lists/keys.txt', Buffer.from(`${keys.slice(0, 3).join('\n')}\n`));
      api.put(`/api/v1/namespaces/${NAMESPACE}/configmaps/keys`, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'keys', namespace: NAMESPACE },
        data: {
          list: keys
            .slice(3)
            .map((key) => JSON.stringify({ key }))
            .join('\n'),
        },
      });
      prewarm('listed', {
        targets: [
          { bucket: BUCKET, manifest: { bucket: BUCKET, key: 'lists/keys.txt' } },
          { bucket: BUCKET, keysFrom: { configMapRef: { name: 'keys', key: 'list' } } },
        ],
      });
      expect(await finished('listed')).toMatchObject({
        objects: { total: keys.length, done: keys.length, failed: 0 },
        bytes: { total: sizeBytes, done: sizeBytes, fromOrigin: sizeBytes },
      });
    },
    LIMIT_MS,
  );

  it(
    'is suspended within two seconds and resumed, pins what it stored, and leaves nothing when it is deleted',
    async () => {
      const { keys, sizeBytes } = await putObjects('moved/');
      prewarm('moved', {
        targets: [{ bucket: BUCKET, prefix: 'moved/' }],
        maxBytesPerSecond: '1Mi',
        parallelism: 1,
        pin: {},
      });
      await expect
        .poll(async () => (await running('moved'))?.bytes.done ?? 0, { timeout: LIMIT_MS })
        .toBeGreaterThan(0);
      // The walk ends, and later continues from its record.
      prewarm('moved', { ...specOf('moved'), suspend: true });
      await expect.poll(() => reports('moved'), { timeout: 2_000, interval: 20 }).toEqual([]);
      const names = await prewarmNames();
      expect(names).toHaveLength(1);
      prewarm('moved', { ...specOf('moved'), suspend: false, maxBytesPerSecond: '1Gi' });
      const report = await finished('moved');
      expect(report).toMatchObject({
        objects: { total: keys.length, done: keys.length, failed: 0 },
        bytes: { total: sizeBytes, done: sizeBytes, fromOrigin: sizeBytes, alreadyStored: 0 },
        pin: 'pinned',
      });
      const pins = await pinsOf('moved');
      // The empty object has no chunk.
      expect(pins).toMatchObject([{ prewarm: 'moved', expiresMs: null, sizeBytes, versions: keys.length - 1 }]);
      api.delete(`${COLLECTION}/moved`);
      await expect.poll(prewarmNames, { timeout: 5_000, interval: 20 }).not.toContain(names[0]);
      expect(await pinsOf('moved')).toEqual([]);
    },
    LIMIT_MS,
  );
});

async function running(name: string): Promise<PrewarmReport | undefined> {
  return (await reports(name))[0];
}

function specOf(name: string): object {
  const { spec } = api.get(`${COLLECTION}/${name}`) as unknown as { readonly spec: object };
  return spec;
}

/** The records of this prewarm in the cachestore. */
async function prewarmNames(): Promise<string[]> {
  const engine = cluster.all[0]?.cache.engine;
  const page = await engine?.store.list('_orca/prewarm/', undefined, { signal: AbortSignal.timeout(LIMIT_MS) });
  const names: string[] = [];
  for (const { name } of page?.entries ?? []) {
    const bytes = await engine?.store.getSmall(name, { signal: AbortSignal.timeout(LIMIT_MS) });
    if (bytes !== undefined && Buffer.from(bytes).toString('utf8').includes('"name":"moved"')) names.push(name);
  }
  return names;
}

async function pinsOf(name: string): Promise<readonly { readonly name: string }[]> {
  const { body } = await http(cluster.all[0]?.ops ?? '', '/pins');
  const { pins } = JSON.parse(body.toString()) as { readonly pins: readonly { readonly name: string }[] };
  return pins.filter((pin) => pin.name.startsWith(name));
}
