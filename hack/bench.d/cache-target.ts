/** This cache under measurement: its replicas as processes of their own, and what their metrics say. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts, startChild, waitFor, type Child } from './child.ts';
import type { Setup } from './lines.ts';

export interface CacheTarget extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly children: readonly Child[];
  /** One metric, summed over all replicas and the label values that `labels` leaves open. */
  metric(name: string, labels?: string): Promise<number>;
  /** Resolves when no fill and no commit is under way. */
  idle(): Promise<void>;
}

export interface CacheOptions {
  /** Of a checkout of this repository. */
  readonly checkout: string;
  readonly folder: string;
  readonly originUrl: string;
  readonly store: { readonly url: string; readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly setup: Setup;
  /** Before the program's name. */
  readonly nodeArgs?: readonly string[];
}

const READY_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 120_000;

export async function startCache(options: CacheOptions): Promise<CacheTarget> {
  const { checkout, folder, store, setup } = options;
  const keys = join(folder, 'peer-keys');
  await mkdir(keys, { recursive: true });
  await writeFile(join(keys, 'key'), 'a key for measurements only, on loopback');
  const ports = await Promise.all(Array.from({ length: setup.replicas }, () => freePorts(3)));
  const env = {
    ORCA_ORIGIN_ACCESS_KEY_ID: 'bench',
    ORCA_ORIGIN_SECRET_ACCESS_KEY: 'bench-secret',
    ORCA_CACHESTORE_ACCESS_KEY_ID: store.accessKeyId,
    ORCA_CACHESTORE_SECRET_ACCESS_KEY: store.secretAccessKey,
  };
  const children: Child[] = [];
  const opsUrls: string[] = [];
  const target: CacheTarget = {
    urls: ports.map(([edge]) => `http://127.0.0.1:${edge}`),
    children,
    async metric(name, labels = '') {
      const pages = await Promise.all(opsUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
      return pages.reduce((sum, page) => sum + sumOf(page, name, labels), 0);
    },
    async idle() {
      await waitFor('the fills and commits to end', IDLE_TIMEOUT_MS, async () => {
        const busy = await Promise.all(['orca_fills_running', 'orca_outbox_commits'].map((name) => target.metric(name)));
        return busy.every((count) => count === 0);
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
    },
  };
  try {
    for (const [index, [edge, peer, ops]] of ports.entries()) {
      const config = join(folder, `cache-${index}.yaml`);
      const address = (port: number | undefined) => `127.0.0.1:${port}`;
      // JSON is YAML.
      const words = {
        listen: { edge: address(edge), peer: address(peer), ops: address(ops) },
        origin: {
          id: 'bench',
          type: 'S3',
          s3: { endpoint: options.originUrl, forcePathStyle: true },
          buckets: [{ name: 'bench', metadataTTL: '1h' }],
        },
        cacheStore: { type: 'S3', s3: { endpoint: store.url, bucket: 'chunks', forcePathStyle: true } },
        chunking: setup.chunking,
        memory: { budget: setup.budget },
        peers: {
          type: 'Static',
          static: { peers: ports.map(([, port]) => address(port)) },
          self: address(peer),
          auth: { directory: keys },
        },
        shutdown: { propagationDelay: '0s', drainTimeout: '1s' },
      };
      await writeFile(config, JSON.stringify(words));
      const args = [...(options.nodeArgs ?? []), join(checkout, 'cache/main.ts'), '--config', config];
      children.push(startChild(process.execPath, args, { env }));
      opsUrls.push(`http://${address(ops)}`);
    }
    await waitFor('the cache to be ready', READY_TIMEOUT_MS, async () => {
      const ended = children.find((child) => child.hasEnded);
      if (ended !== undefined) throw new Error(`the cache has ended: ${ended.lastWords()}`);
      const answers = await Promise.all(opsUrls.map((url) => fetch(`${url}/readyz`)));
      return answers.every(({ status }) => status === 200);
    });
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw error;
  }
  return target;
}

/** The sum of a metric's samples whose labels contain `labels`, in Prometheus' text format. */
export function sumOf(page: string, name: string, labels: string): number {
  let sum = 0;
  for (const line of page.split('\n')) {
    if (!line.startsWith(name) || !['{', ' '].includes(line.charAt(name.length)) || !line.includes(labels)) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
