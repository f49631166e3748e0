/** Starts the cache under test, each replica as a process, and reads its metrics. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, freePorts } from '#hack/lab/free-ports.ts';
import { childrenOf, startChild, waitFor, type Child } from './child.ts';
import { limitEach } from './cpu-limit.ts';
import type { Setup } from './lines.ts';

export interface CacheTarget extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly children: readonly Child[];
  /** Each replica has one process, or a parent and its workers. */
  readonly processes: readonly (readonly number[])[];
  /** One metric, summed over all replicas and over the labels that `labels` does not fix. */
  metric(name: string, labels?: string): Promise<number>;
  /** Resolves when no fill and no commit is in flight. */
  idle(): Promise<void>;
}

export interface CacheOptions {
  /** The folder of a checkout of this repository. */
  readonly checkout: string;
  readonly folder: string;
  readonly originUrl: string;
  readonly store: { readonly url: string; readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly setup: Setup;
  /** Undefined = the default of the checkout. */
  readonly workers?: number | undefined;
  /** Arguments of Node.js itself. */
  readonly nodeArgs?: readonly string[];
}

/** On a machine with much other work a start takes ten times as long. */
const READY_TIMEOUT_MS = 90_000;
const IDLE_TIMEOUT_MS = 120_000;

export async function startCache(options: CacheOptions): Promise<CacheTarget> {
  const { checkout, folder, store, setup } = options;
  const keys = join(folder, 'peer-keys');
  await mkdir(keys, { recursive: true });
  await writeFile(join(keys, 'key'), 'a key for measurements only, on loopback');
  const ports = await Promise.all(Array.from({ length: setup.replicas }, () => listenerPorts(options.workers ?? 1)));
  const env = {
    ORCA_ORIGIN_ACCESS_KEY_ID: 'bench',
    ORCA_ORIGIN_SECRET_ACCESS_KEY: 'bench-secret',
    ORCA_CACHESTORE_ACCESS_KEY_ID: store.accessKeyId,
    ORCA_CACHESTORE_SECRET_ACCESS_KEY: store.secretAccessKey,
  };
  const children: Child[] = [];
  const opsUrls: string[] = [];
  const target = {
    urls: ports.map(({ edge }) => `http://${addressOf(edge)}`),
    children,
    processes: [],
    async metric(name: string, labels = ''): Promise<number> {
      const pages = await Promise.all(opsUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
      return pages.reduce((sum, page) => sum + sumOf(page, name, labels), 0);
    },
    async idle() {
      await waitFor('the fills and commits to end', IDLE_TIMEOUT_MS, async () => {
        const busy = await Promise.all(
          ['orca_fills_running', 'orca_outbox_commits'].map((name) => target.metric(name)),
        );
        return busy.every((count) => count === 0);
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
    },
  };
  try {
    for (const [index, own] of ports.entries()) {
      const file = join(folder, `cache-${index}.yaml`);
      // JSON is a subset of YAML.
      await writeFile(file, JSON.stringify(configOf(options, own, ports, keys)));
      const args = [...(options.nodeArgs ?? []), join(checkout, 'cache/main.ts'), '--config', file];
      children.push(startChild(process.execPath, args, { env }));
      opsUrls.push(`http://${addressOf(own.ops)}`);
    }
    await waitFor('the cache to be ready', READY_TIMEOUT_MS, async () => {
      const ended = children.find((child) => child.hasEnded);
      if (ended !== undefined) throw new Error(`the cache has exited: ${ended.recentOutput()}`);
      const responses = await Promise.all(opsUrls.map((url) => fetch(`${url}/readyz`)));
      return responses.every(({ status }) => status === 200);
    });
    const processes = children.map(({ pid }) => [pid, ...childrenOf(pid)]);
    if (setup.cpusPerProcess !== undefined) limitEach(processes.flatMap(limitedTogether), setup.cpusPerProcess);
    return { ...target, processes };
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw new Error(`the cache did not start: ${children.map((child) => child.recentOutput()).join('\n')}`, {
      cause: error,
    });
  }
}

/** Each worker by itself; their parent process, which does almost nothing, together with the first one. */
function limitedTogether([parent = 0, ...workers]: readonly number[]): number[][] {
  const [first, ...others] = workers;
  return first === undefined ? [[parent]] : [[parent, first], ...others.map((worker) => [worker])];
}

interface Ports {
  readonly edge: number;
  readonly peer: number;
  readonly ops: number;
}

/** The workers of a replica use consecutive ports for each other. */
async function listenerPorts(workers: number): Promise<Ports> {
  return { edge: await freePort(), ops: await freePort(), peer: await freePorts(workers) };
}

function configOf(
  { originUrl, store, setup, workers }: CacheOptions,
  own: Ports,
  all: readonly Ports[],
  keys: string,
): object {
  return {
    ...(workers === undefined ? {} : { workers }),
    listen: { edge: addressOf(own.edge), peer: addressOf(own.peer), ops: addressOf(own.ops) },
    origin: {
      id: 'bench',
      type: 'S3',
      s3: { endpoint: originUrl, forcePathStyle: true },
      buckets: [{ name: 'bench', metadataTTL: '1h' }],
    },
    cacheStore: { type: 'S3', s3: { endpoint: store.url, bucket: 'chunks', forcePathStyle: true } },
    chunking: setup.chunking,
    memory: { budget: setup.budget },
    peers: {
      type: 'Static',
      static: { peers: all.map(({ peer }) => addressOf(peer)) },
      self: addressOf(own.peer),
      auth: { directory: keys },
    },
    shutdown: { propagationDelay: '0s', drainTimeout: '1s' },
  };
}

function addressOf(port: number): string {
  return `127.0.0.1:${port}`;
}

/** The sum of the samples of a metric in a Prometheus text page whose labels contain `labels`. */
export function sumOf(page: string, name: string, labels: string): number {
  let sum = 0;
  for (const line of page.split('\n')) {
    if (!line.startsWith(name) || !['{', ' '].includes(line.charAt(name.length)) || !line.includes(labels)) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
