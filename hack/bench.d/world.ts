/** Everything that one setup needs, running: store, this cache, the ones that it is compared with, nginx. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startCache, type CacheTarget } from './cache-target.ts';
import { freePorts, startChild, waitFor } from './child.ts';
import type { Setup, Variant } from './lines.ts';
import type { NginxTarget } from './nginx-target.ts';
import type { Options } from './options.ts';
import type { Effort } from './sample.ts';
import { startSynthetic, type Synthetic } from './synthetic.ts';

/** What is measured, as a client and an accountant see it. */
export interface Target {
  readonly name: string;
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  does(variant: Variant): boolean;
  /** What it has done so far, but for time and memory. */
  counts(): Promise<Pick<Effort, 'storeBytes' | 'servedFromMemory'>>;
  /** Resolves when it has nothing left to do. */
  idle(): Promise<void>;
}

/** Of a target that counts nothing, and does nothing behind a client's back. */
export const TELLS_NOTHING: Pick<Target, 'counts' | 'idle'> = {
  counts: async () => ({ storeBytes: undefined, servedFromMemory: undefined }),
  idle: async () => {},
};

/** What every setup shares. */
export interface Base {
  readonly options: Options;
  /** On tmpfs. */
  readonly folder: string;
  readonly origin: Synthetic;
  readonly nginx: NginxTarget | undefined;
  readonly bare: readonly Target[];
  readonly checkout: string;
}

export interface World extends AsyncDisposable {
  readonly targets: readonly Target[];
  readonly cache: CacheTarget;
}

const START_TIMEOUT_MS = 20_000;

export async function openWorld(base: Base, setup: Setup, nodeArgs: readonly string[] = []): Promise<World> {
  const { options, origin, nginx } = base;
  await using stack = new AsyncDisposableStack();
  const start = async (checkout: string) => {
    const folder = await mkdtemp(join(base.folder, 'cache-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const store = options.store === 'synthetic' ? await syntheticStore(base, folder) : await versitygwStore(folder);
    stack.use(store);
    const cache = await startCache({ checkout, folder, originUrl: origin.url, store, setup, nodeArgs });
    return { cache: stack.use(cache), store };
  };
  const ours = await start(base.checkout);
  const targets = [targetOf('OrcaCache', ours.cache, ours.store)];
  if (options.against !== undefined) {
    const other = await start(options.against);
    targets.push(targetOf('other checkout', other.cache, other.store));
  }
  if (nginx !== undefined) targets.push(nginxTarget(nginx));
  targets.push(...base.bare);
  const owned = stack.move();
  return { targets, cache: ours.cache, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Store extends AsyncDisposable {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Body bytes that were read from it. */
  readBytes(): Promise<number | undefined>;
}

async function syntheticStore({ options }: Base, folder: string): Promise<Store> {
  const chunks = join(folder, 'chunks');
  await mkdir(chunks);
  const server = await startSynthetic(options.binFolder, '-dir', chunks);
  return {
    url: server.url,
    accessKeyId: 'bench',
    secretAccessKey: 'bench-secret',
    readBytes: async () => (await server.counts()).getBytes,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A real S3 server: signatures are checked, and what it reads it does not tell. */
async function versitygwStore(folder: string): Promise<Store> {
  const accessKeyId = 'bench';
  const secretAccessKey = 'bench-secret';
  const [port] = await freePorts(1);
  // Its buckets are folders.
  await mkdir(join(folder, 'store', 'chunks'), { recursive: true });
  const args = ['-a', accessKeyId, '-s', secretAccessKey, '--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive'];
  const child = startChild('versitygw', [...args, 'posix', join(folder, 'store')]);
  const url = `http://127.0.0.1:${port}`;
  try {
    await waitFor('versitygw', START_TIMEOUT_MS, async () => (await fetch(url)).status > 0);
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  return {
    url,
    accessKeyId,
    secretAccessKey,
    readBytes: async () => undefined,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

function targetOf(name: string, cache: CacheTarget, store: Store): Target {
  return {
    name,
    urls: cache.urls,
    pids: cache.children.map(({ pid }) => pid),
    does: () => true,
    counts: async () => ({
      storeBytes: await store.readBytes(),
      servedFromMemory: await cache.metric('orca_served_bytes_total', 'source="memory"'),
    }),
    idle: () => cache.idle(),
  };
}

function nginxTarget({ url, pids }: NginxTarget): Target {
  return {
    name: 'nginx',
    urls: [url],
    pids,
    does: (variant) => variant.nginx,
    ...TELLS_NOTHING,
  };
}
