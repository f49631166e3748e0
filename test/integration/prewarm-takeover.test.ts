/** A prewarm whose walker is stopped, in a cluster that finds its members through the API server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parsePrewarmReports, PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replica, type Replicas } from '#test/support/replicas.ts';

const LIMIT_MS = 90_000;
const OBJECTS = 40;
const PREWARM = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/llama';
const sliceOf = (index: number): string =>
  `/apis/discovery.k8s.io/v1/namespaces/ml/endpointslices/models-peers-${index}`;

let api: FakeApiServer;
let cluster: Replicas;

beforeAll(async () => {
  api = await openFakeApiServer({ kinds: { orcaprewarms: 'OrcaPrewarm' } });
  cluster = await startReplicas({
    replicas: 3,
    kube: api.client(),
    changes(index, address) {
      const [ip = '', port = ''] = address.split(':');
      api.put(sliceOf(index), {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `models-peers-${index}`,
          namespace: 'ml',
          labels: { 'kubernetes.io/service-name': 'models-peers' },
        },
        addressType: 'IPv4',
        ports: [{ name: 'peer', port: Number(port) }],
        endpoints: [{ addresses: [ip], conditions: { serving: true, terminating: false } }],
      });
      return {
        prewarms: { namespace: 'ml', cache: 'models' },
        'peers.type': 'EndpointSlices',
        'peers.self': ip,
        'peers.static': undefined,
        'peers.endpointSlices': { namespace: 'ml', service: 'models-peers' },
      };
    },
  });
}, LIMIT_MS);

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await api?.close();
});

async function reportOf({ ops }: Replica): Promise<PrewarmReport | undefined> {
  return parsePrewarmReports((await http(ops, PREWARMS_PATH)).body.toString())[0];
}

it(
  'is continued by another replica, and the origin sends few bytes twice',
  async () => {
    for (let at = 0; at < OBJECTS; at++) await cluster.put(`llama/${at}`, randomBytes(MIB));
    const owners = async ({ ops }: Replica): Promise<number> => {
      const { peers } = JSON.parse((await http(ops, '/status')).body.toString()) as { peers: { owners: string[] } };
      return peers.owners.length;
    };
    await expect.poll(() => Promise.all(cluster.all.map(owners)), { timeout: LIMIT_MS }).toEqual([3, 3, 3]);
    api.put(PREWARM, {
      apiVersion: 'orcacache.dev/v1alpha1',
      kind: 'OrcaPrewarm',
      metadata: { name: 'llama', namespace: 'ml' },
      spec: {
        cacheRef: { name: 'models' },
        targets: [{ bucket: BUCKET, prefix: 'llama/' }],
        maxBytesPerSecond: '10Mi',
      },
      status: { runs: 1, activeRun: 1 },
    });
    const running = async () => {
      const reports = await Promise.all(cluster.all.map(reportOf));
      return reports.findIndex((report) => (report?.objects.done ?? 0) >= 10);
    };
    await expect.poll(running, { timeout: LIMIT_MS, interval: 20 }).toBeGreaterThanOrEqual(0);
    const first = await running();
    const others = cluster.all.filter((_, index) => index !== first);
    api.delete(sliceOf(first));
    await cluster.all[first]?.stop();
    const finished = async () => {
      const reports = await Promise.all(others.map(reportOf));
      return reports.find((report) => report?.state === 'finished');
    };
    await expect
      .poll(async () => (await finished())?.objects, { timeout: LIMIT_MS, interval: 50 })
      .toEqual({
        total: OBJECTS,
        done: OBJECTS,
        failed: 0,
      });
    const sizeBytes = OBJECTS * MIB;
    expect((await finished())?.bytes).toMatchObject({ total: sizeBytes, done: sizeBytes });
    expect((await cluster.stored()).size).toBe(OBJECTS);
    const { bodyBytes } = await cluster.originProxy.counts('GET');
    // Lists, and fills of the replica that was stopped.
    expect(bodyBytes).toBeGreaterThanOrEqual(sizeBytes);
    expect(bodyBytes).toBeLessThanOrEqual(sizeBytes + 2 * MIB);
  },
  LIMIT_MS,
);
