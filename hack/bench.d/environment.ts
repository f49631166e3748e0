/** Starts the processes of one setup: store, cache, and the servers to compare it with. */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startCache, type CacheTarget } from './cache-target.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { startChild, waitFor } from './child.ts';
import type { Setup, Variant } from './lines.ts';
import type { NginxTarget } from './nginx-target.ts';
import type { Options } from './options.ts';
import type { ResourceUse } from './sample.ts';
import { startSynthetic, type Synthetic } from './synthetic.ts';
import { OURS, workersName } from './targets.ts';

/** A server under test: its URLs, processes and counters. */
export interface Target {
  readonly name: string;
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  /** The processes of each replica, of a cache under test. */
  readonly replicas?: readonly (readonly number[])[];
  supports(variant: Variant): boolean;
  /** Its counters since the start. */
  counts(): Promise<Pick<ResourceUse, 'storeBytes' | 'storeMisses' | 'servedFromMemory'>>;
  /** Resolves when it has no background work in flight. */
  idle(): Promise<void>;
  /** Deletes what it has stored since then: objects of a cold measurement are not read again, and tmpfs is memory. */
  removeStoredSince(dateMs: number): Promise<void>;
}

/** For a target without counters and without background work. */
export const NO_COUNTERS: Pick<Target, 'counts' | 'idle' | 'removeStoredSince'> = {
  counts: async () => ({ storeBytes: undefined, storeMisses: undefined, servedFromMemory: undefined }),
  idle: async () => {},
  removeStoredSince: async () => {},
};

/** Shared by all setups. */
export interface Base {
  readonly options: Options;
  /** A folder on tmpfs. */
  readonly folder: string;
  readonly origin: Synthetic;
  readonly nginx: NginxTarget | undefined;
  readonly bare: readonly Target[];
  readonly checkout: string;
}

export interface Environment extends AsyncDisposable {
  readonly targets: readonly Target[];
  readonly caches: readonly CacheTarget[];
}

const OTHER = 'other checkout';
const START_TIMEOUT_MS = 20_000;

export async function openEnvironment(
  base: Base,
  setup: Setup,
  nodeArgs: readonly string[] = [],
): Promise<Environment> {
  const { options, origin, nginx } = base;
  await using stack = new AsyncDisposableStack();
  const caches: CacheTarget[] = [];
  const start = async (checkout: string, name: string, workers?: number): Promise<Target> => {
    const folder = await mkdtemp(join(base.folder, 'cache-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const store = options.store === 'synthetic' ? await syntheticStore(base, folder) : await versitygwStore(folder);
    stack.use(store);
    const cache = stack.use(
      await startCache({ checkout, folder, originUrl: origin.url, store, setup, workers, nodeArgs }),
    );
    caches.push(cache);
    return targetOf(name, cache, store);
  };
  const targets: Target[] = [];
  for (const [checkout, name] of [
    [base.checkout, OURS],
    [options.against, OTHER],
  ] as const) {
    if (checkout === undefined) continue;
    if (setup.workers === undefined) targets.push(await start(checkout, name));
    for (const count of setup.workers ?? []) targets.push(await start(checkout, workersName(name, count), count));
  }
  if (nginx !== undefined) targets.push(nginxTarget(nginx));
  targets.push(...base.bare);
  const owned = stack.move();
  return { targets, caches, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Store extends AsyncDisposable {
  readonly url: string;
  /** Where its objects lie. */
  readonly folder: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  counts(): Promise<Pick<ResourceUse, 'storeBytes' | 'storeMisses'>>;
}

async function syntheticStore({ options }: Base, folder: string): Promise<Store> {
  const chunks = join(folder, 'chunks');
  await mkdir(chunks);
  const server = await startSynthetic(options.binFolder, '-dir', chunks);
  return {
    url: server.url,
    folder: chunks,
    accessKeyId: 'bench',
    secretAccessKey: 'bench-secret',
    async counts() {
      const { getBytes, misses } = await server.counts();
      return { storeBytes: getBytes, storeMisses: misses };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A real S3 server, which verifies signatures and has no counters. */
async function versitygwStore(folder: string): Promise<Store> {
  const accessKeyId = 'bench';
  const secretAccessKey = 'bench-secret';
  const port = await freePort();
  // A folder is a bucket of versitygw.
  const buckets = join(folder, 'store');
  await mkdir(join(buckets, 'chunks'), { recursive: true });
  const args = ['-a', accessKeyId, '-s', secretAccessKey, '--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive'];
  const child = startChild('versitygw', [...args, 'posix', buckets]);
  const url = `http://127.0.0.1:${port}`;
  try {
    await waitFor('versitygw', START_TIMEOUT_MS, async () => (await fetch(url)).status > 0);
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  return {
    url,
    folder: buckets,
    accessKeyId,
    secretAccessKey,
    counts: async () => ({ storeBytes: undefined, storeMisses: undefined }),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

function targetOf(name: string, cache: CacheTarget, store: Store): Target {
  return {
    name,
    urls: cache.urls,
    pids: cache.processes.flat(),
    replicas: cache.processes,
    supports: () => true,
    counts: async () => ({
      ...(await store.counts()),
      servedFromMemory: await cache.metric('orca_served_bytes_total', 'source="memory"'),
    }),
    idle: () => cache.idle(),
    async removeStoredSince(dateMs) {
      for (const entry of await readdir(store.folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isFile() && (await stat(path)).mtimeMs >= dateMs) await rm(path);
      }
    },
  };
}

function nginxTarget({ url, pids }: NginxTarget): Target {
  return {
    name: 'nginx',
    urls: [url],
    pids,
    supports: (variant) => variant.nginx,
    ...NO_COUNTERS,
  };
}
