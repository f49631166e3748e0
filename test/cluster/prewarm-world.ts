/** A cache of three replicas whose origin requests go through a counting proxy, and what the tests of prewarming do with it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { API_VERSION, PREWARM } from '#crds/names.ts';
import type { OrcaPrewarm, OrcaPrewarmSpec, OrcaPrewarmStatus } from '#crds/types.ts';
import { parsePrewarmReports, PREWARMS_PATH } from '#shared/prewarm-report.ts';
import { edgeOf, metricOf, putObjectTo, readObject, serverOf } from './cache-clients.ts';
import { NUMBERS_PORT, S3_PORT, server } from './chaos/servers.ts';
import { becomes, BUCKET, cache, eventually, openWorld, secret, START_MS, type World } from './operator-world.ts';
import { contentOf, isContentOf, type TestObject } from './prewarm-objects.ts';

const exec = promisify(execFile);
export const CACHE = 'warm';
const PROXY = 'origin-proxy';
const OPS_PORT = 8442;
/** As of another region of the same continent: on loopback, the time to the first byte would only measure this machine. */
const ORIGIN_LATENCY_MS = 20;
const SETTLE_MS = 90_000;
/** How many uploads and reads run at the same time: enough for two cores. */
const PARALLEL = 6;

export interface Replica {
  readonly name: string;
  readonly ip: string;
  readonly containerId: string;
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PrewarmWorld extends AsyncDisposable {
  readonly world: World;
  /** `host:port` of the edge Service. */
  readonly edge: string;
  upload(objects: readonly TestObject[]): Promise<void>;
  /** Puts a text to the origin. */
  put(key: string, text: string): Promise<void>;
  /** Reads each object through the cache, and compares every byte. */
  readAll(objects: readonly TestObject[]): Promise<void>;
  /** Bytes of objects that the origin has sent so far, without those of lists. */
  originBytes(): Promise<number>;
  /** The same, once no request, fill or commit is in flight. */
  settledOriginBytes(): Promise<number>;
  apply(name: string, spec: Partial<OrcaPrewarmSpec>): Promise<void>;
  status(name: string): Promise<OrcaPrewarmStatus>;
  /** `kubectl wait`. */
  waitFor(name: string, condition: string, timeoutS: number): Promise<void>;
  /** The pods that are not being deleted. */
  replicas(): Promise<Replica[]>;
  /** The replica that reports the run of this prewarm. */
  walkerOf(name: string): Promise<Replica>;
  /** Runs `kubectl orca` in the namespace. */
  cli(...args: readonly string[]): Promise<CliResult>;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly status: {
      readonly podIP?: string;
      readonly containerStatuses?: readonly { readonly containerID?: string }[];
    };
  }[];
}

interface ProxyNumbers {
  readonly inFlight: number;
  readonly operations: Readonly<Record<string, { readonly bodyBytes: number }>>;
}

export async function openPrewarmWorld(): Promise<PrewarmWorld> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await openWorld({ values: ['schedulingGates.enabled=true'] }));
  const addresses = ['--listen', `0.0.0.0:${S3_PORT}`, '--admin', `0.0.0.0:${NUMBERS_PORT}`];
  const upstream = ['--upstream', `http://s3:${S3_PORT}`, '--latency-ms', String(ORIGIN_LATENCY_MS)];
  await world.apply(secret('keys'), ...server(PROXY, ['node', 'counting-proxy.ts', ...upstream, ...addresses]));
  await world.kubectl(['wait', '--for=condition=Ready', `pod/${PROXY}`, '--timeout=120s']);
  // Far above what the tests store: nothing is evicted, and pins are accepted.
  const cacheStore = { capacity: '64Gi' };
  await world.apply(cache(CACHE, { secret: 'keys', endpoint: `http://${PROXY}:${S3_PORT}`, cacheStore }));
  await becomes(() => world.condition(CACHE, 'Ready'), 'True ReplicasReady', START_MS);
  const edge = await edgeOf(world, CACHE);
  const origin = await serverOf(world);
  const proxyIp = await world.field(`pod ${PROXY}`, '{.status.podIP}');

  async function proxyNumbers(): Promise<ProxyNumbers> {
    const response = await fetch(`http://${proxyIp}:${NUMBERS_PORT}/_stats`);
    return (await response.json()) as ProxyNumbers;
  }

  async function originBytes(): Promise<number> {
    const { operations } = await proxyNumbers();
    return ['GET object', 'GET object range'].reduce((sum, name) => sum + (operations[name]?.bodyBytes ?? 0), 0);
  }

  async function replicas(): Promise<Replica[]> {
    const text = await world.kubectl(['get', 'pods', '-l', `app.kubernetes.io/instance=${CACHE}`, '-o', 'json']);
    return (JSON.parse(text) as PodList).items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, status }) => ({
        name: metadata.name,
        ip: status.podIP ?? '',
        containerId: (status.containerStatuses?.[0]?.containerID ?? '').replace('containerd://', ''),
      }));
  }

  const owned = opened.move();
  return {
    world,
    edge,
    originBytes,
    replicas,
    put: (key, text) => putObjectTo(origin, key, Buffer.from(text)),
    upload: (objects) => inParallel(objects, (object) => putObjectTo(origin, object.key, contentOf(object))),
    async readAll(objects) {
      await inParallel(objects, async (object) => {
        const { body } = await readObject(edge, object.key);
        if (!isContentOf(object, body)) throw new Error(`${object.key}: ${body.length} wrong bytes`);
      });
    },
    async settledOriginBytes() {
      const ips = (await replicas()).map(({ ip }) => ip);
      await eventually(async () => {
        expect((await proxyNumbers()).inFlight).toBe(0);
        for (const name of ['orca_fills_running', 'orca_outbox_commits'])
          expect(await Promise.all(ips.map((ip) => metricOf(ip, name)))).toEqual(ips.map(() => 0));
      }, SETTLE_MS);
      return originBytes();
    },
    async apply(name, spec) {
      const prewarm = {
        apiVersion: API_VERSION,
        kind: PREWARM.kind,
        metadata: { name },
        spec: { cacheRef: { name: CACHE }, ...spec },
      };
      await world.apply(prewarm);
    },
    async status(name) {
      const text = await world.kubectl(['get', PREWARM.singular, name, '-o', 'json']);
      return (JSON.parse(text) as OrcaPrewarm).status ?? {};
    },
    async waitFor(name, condition, timeoutS) {
      const resource = `${PREWARM.singular}/${name}`;
      await world.kubectl(['wait', `--for=condition=${condition}`, resource, `--timeout=${timeoutS}s`]);
    },
    async walkerOf(name) {
      let walker: Replica | undefined;
      await eventually(async () => {
        for (const replica of await replicas()) {
          const response = await fetch(`http://${replica.ip}:${OPS_PORT}${PREWARMS_PATH}`);
          const reports = parsePrewarmReports(await response.text());
          if (reports.some((report) => report.name === name && report.state === 'running')) walker = replica;
        }
        expect(walker).toBeDefined();
      });
      return walker!;
    },
    async cli(...args) {
      const all = ['cache/cli/main.ts', ...args, '-n', world.namespace];
      try {
        return { exitCode: 0, ...(await exec(process.execPath, all)) };
      } catch (error) {
        const { code, stdout, stderr } = error as { code?: number | string; stdout?: string; stderr?: string };
        if (typeof code !== 'number') throw error;
        return { exitCode: code, stdout: stdout ?? '', stderr: stderr ?? '' };
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function target(prefix: string): { readonly bucket: string; readonly prefix: string } {
  return { bucket: BUCKET, prefix };
}

/** The first failure ends it. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}
