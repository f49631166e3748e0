/** A cache of three replicas between an origin and a store that can be stopped, on nodes that can be cut off. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { metricOf, peersOf, edgeOf, whyTwice } from '#test/cluster/cache-clients.ts';
import { processOf } from '#test/cluster/container-process.ts';
import { becomes, BUCKET, eventually, openWorld, secret, START_MS, type World } from '#test/cluster/operator-world.ts';
import { childrenOf } from '#test/support/child-processes.ts';
import {
  NUMBERS_PORT,
  S3_PORT,
  servers,
  SERVERS,
  SERVERS_NODE,
  STORE_BUCKET,
  STOPPED_FILE,
  type ServerName,
} from './servers.ts';

const exec = promisify(execFile);
export const CACHE = 'chaos';
const CLUSTER = 'hack/cluster';
const POLL_MS = 20;
/** How long to search for a replica that reads from the origin. */
const FIND_MS = 20_000;
const SETTLE_MS = 90_000;

export interface Replica {
  readonly name: string;
  readonly ip: string;
  readonly node: string;
  readonly containerId: string;
}

export interface ChaosWorld extends AsyncDisposable {
  readonly world: World;
  /** `host:port` of the edge Service. */
  readonly edge: string;
  /** The pods that are not being deleted. */
  replicas(): Promise<Replica[]>;
  /** Waits until the cache is ready and each replica's peer list contains exactly the workers of the existing replicas. */
  whole(replicas: number, workers?: number): Promise<void>;
  /** Kills the process of a replica that is reading from the origin; resolves with the name of its pod. */
  killCoordinator(exceptPods: ReadonlySet<string>): Promise<string>;
  /** Kills one worker of a replica that is reading from the origin; resolves with the replica. */
  killWorker(): Promise<Replica>;
  /** Cuts a node with a replica off the network; `heal` reconnects it. */
  cutNode(): Promise<{ readonly node: string; readonly heal: () => Promise<void> }>;
  stop(...names: readonly ServerName[]): Promise<void>;
  start(...names: readonly ServerName[]): Promise<void>;
  scale(replicas: number): Promise<void>;
  /** Replaces every pod, through a configuration change that has no effect on the cases. */
  roll(): Promise<void>;
  /** Replaces every pod by one with this number of workers. */
  setWorkers(replicas: number, workers: number): Promise<void>;
  /** Waits until no transfer is running; resolves with the body bytes that the origin proxy has forwarded. */
  originBytes(): Promise<number>;
  /** What the replicas count as received from the origin; a killed one takes its number with it. */
  countedOriginBytes(): Promise<number>;
  /** Fallback metrics and last log lines of the replicas, for the message of a failed case. */
  diagnosis(): Promise<string>;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: {
      readonly podIP?: string;
      readonly containerStatuses?: readonly { readonly containerID?: string }[];
    };
  }[];
}

export interface ChaosOptions {
  readonly replicas?: number;
  readonly memoryLimit?: string;
}

export async function openChaosWorld(options: ChaosOptions = {}): Promise<ChaosWorld> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await openWorld());
  await world.apply(secret('keys'), ...servers());
  await world.kubectl(['wait', '--for=condition=Ready', ...SERVERS.map((name) => `pod/${name}`), '--timeout=120s']);
  await world.apply(cacheResource(options));
  const ready = (): Promise<void> => becomes(() => world.condition(CACHE, 'Ready'), 'True ReplicasReady', START_MS);
  await ready();
  const edge = await edgeOf(world, CACHE);
  /** Bytes that the proxy had counted when it was stopped. */
  let countedBefore = 0;
  let rolls = 0;

  async function proxyNumbers(): Promise<{ bytes: number; inFlight: number }> {
    const ip = await world.field('pod origin-proxy', '{.status.podIP}');
    const answer = await fetch(`http://${ip}:${NUMBERS_PORT}/_stats`);
    const numbers = (await answer.json()) as { inFlight: number; total: { bodyBytes: number } };
    return { bytes: numbers.total.bodyBytes, inFlight: numbers.inFlight };
  }

  async function replicas(): Promise<Replica[]> {
    const text = await world.kubectl(['get', 'pods', '-l', `app.kubernetes.io/instance=${CACHE}`, '-o', 'json']);
    return (JSON.parse(text) as PodList).items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, spec, status }) => ({
        name: metadata.name,
        ip: status.podIP ?? '',
        node: spec.nodeName ?? '',
        containerId: (status.containerStatuses?.[0]?.containerID ?? '').replace('containerd://', ''),
      }));
  }

  async function whole(count: number, workers = 1): Promise<void> {
    await becomes(() => world.field(`orca ${CACHE}`, '{.status.readyReplicas}'), String(count), START_MS);
    await ready();
    await eventually(async () => {
      const ips = (await replicas()).map(({ ip }) => ip);
      expect(ips).toHaveLength(count);
      const seen = await Promise.all(ips.map(peersOf));
      const all = ips.flatMap((ip) => Array.from({ length: workers }, (_, worker) => `${ip}:${8444 + worker}`));
      for (const { owners } of seen) expect(owners.toSorted()).toEqual(all.toSorted());
    }, START_MS);
  }

  async function idle(): Promise<void> {
    const ips = (await replicas()).map(({ ip }) => ip);
    await eventually(async () => {
      expect((await proxyNumbers()).inFlight).toBe(0);
      for (const name of ['orca_fills_running', 'orca_outbox_commits'])
        expect(await Promise.all(ips.map((ip) => metricOf(ip, name)))).toEqual(ips.map(() => 0));
    }, SETTLE_MS);
  }

  async function findReading(candidates: readonly Replica[]): Promise<Replica> {
    const untilMs = performance.now() + FIND_MS;
    while (performance.now() < untilMs) {
      const running = await Promise.all(candidates.map(({ ip }) => metricOf(ip, 'orca_origin_running')));
      const found = candidates[running.findIndex((reads) => reads > 0)];
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`none of ${candidates.map(({ name }) => name).join(', ')} reads from the origin`);
  }

  async function change(spec: object): Promise<void> {
    const before = await world.field(`orca ${CACHE}`, '{.status.configHash}');
    await world.kubectl(['patch', 'orcacache', CACHE, '--type=merge', '-p', JSON.stringify({ spec })]);
    await eventually(async () => expect(await world.field(`orca ${CACHE}`, '{.status.configHash}')).not.toBe(before));
    await ready();
  }

  const inContainer = (name: ServerName, ...command: readonly string[]): Promise<string> =>
    world.kubectl(['exec', name, '--', ...command]);

  const owned = opened.move();
  return {
    world,
    edge,
    replicas,
    whole,
    async killCoordinator(exceptPods) {
      const victim = await findReading((await replicas()).filter(({ name }) => !exceptPods.has(name)));
      process.kill(await processOf(victim.containerId), 'SIGKILL');
      return victim.name;
    },
    async killWorker() {
      const replica = await findReading(await replicas());
      const [worker] = await childrenOf(await processOf(replica.containerId));
      if (worker === undefined) throw new Error(`${replica.name} has no workers`);
      process.kill(worker, 'SIGKILL');
      return replica;
    },
    async cutNode() {
      const operator = await world.field('pods -l app.kubernetes.io/component=operator', '{.items[0].spec.nodeName}');
      const nodes = (await replicas()).map(({ node }) => node).filter((node) => node !== SERVERS_NODE);
      // Prefer a node without the operator, so that the operator can react.
      const node = nodes.find((name) => name !== operator) ?? nodes[0];
      if (node === undefined) throw new Error('all replicas are on the node of the servers');
      const number = node.replace('node', '');
      await exec(CLUSTER, ['node', 'cut', number]);
      const heal = async (): Promise<void> => {
        await exec(CLUSTER, ['node', 'heal', number]);
      };
      return { node, heal };
    },
    async stop(...names) {
      if (names.includes('origin-proxy')) countedBefore += (await proxyNumbers()).bytes;
      await Promise.all(names.map((name) => inContainer(name, 'touch', STOPPED_FILE)));
    },
    async start(...names) {
      await Promise.all(names.map((name) => inContainer(name, 'rm', '-f', STOPPED_FILE)));
      await world.kubectl(['wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=60s']);
    },
    async scale(count) {
      await world.kubectl(['scale', 'orcacache', CACHE, `--replicas=${count}`]);
      await whole(count);
    },
    roll: () => change({ metadata: { negativeTTL: `${61 + rolls++}s` } }),
    async setWorkers(count, workers) {
      await change({ pod: { workers } });
      await whole(count, workers);
    },
    async originBytes() {
      await idle();
      return countedBefore + (await proxyNumbers()).bytes;
    },
    async countedOriginBytes() {
      const counted = await Promise.all(
        (await replicas()).map(({ ip }) => metricOf(ip, 'orca_bucket_origin_bytes_total')),
      );
      return counted.reduce((sum, bytes) => sum + bytes, 0);
    },
    async diagnosis() {
      const pods = await replicas();
      const told = await Promise.all(
        pods.map(async ({ name, ip }) => {
          const samples = await whyTwice(ip).catch((error: unknown) => [String(error)]);
          const log = await world.kubectl(['logs', name, '--tail=15']).catch(String);
          return [`${name}:`, ...samples, log].join('\n');
        }),
      );
      return told.join('\n');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function cacheResource({ replicas = 3, memoryLimit = '768Mi' }: ChaosOptions): object {
  const credentialsSecretRef = { name: 'keys' };
  const s3 = { forcePathStyle: true, credentialsSecretRef };
  return {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaCache',
    metadata: { name: CACHE },
    spec: {
      replicas,
      origin: {
        id: CACHE,
        type: 'S3',
        s3: { ...s3, endpoint: `http://origin-proxy:${S3_PORT}` },
        buckets: [{ name: BUCKET }],
      },
      cacheStore: { type: 'S3', s3: { ...s3, endpoint: `http://store:${S3_PORT}`, bucket: STORE_BUCKET } },
      chunking: { size: '8Mi', tiers: [] },
      // Much shorter than an outage, so that known objects become stale during it.
      metadata: { ttl: '20s' },
      shutdown: { drainTimeout: '20s' },
      availability: { antiAffinity: 'Preferred' },
      pod: { resources: { requests: { cpu: '250m', memory: '128Mi' }, limits: { memory: memoryLimit } } },
    },
  };
}
