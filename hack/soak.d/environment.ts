/** The environment of the soak test: replicas, a synthetic origin and a real cachestore, each behind a fault proxy. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startFaultProxy, type FaultProxy } from '#test/support/fault-proxy.ts';
import { startVersitygw } from '#test/support/versitygw.ts';
import { startSyntheticOrigin, type SyntheticOrigin } from '#hack/demo-support/synthetic-origin.ts';
import { startCacheProcess, type CacheProcess } from './cache-process.ts';

const MIB = 1024 * 1024;
export const BUCKET = 'models';
const STORE_BUCKET = 'chunks';
const ORIGIN_ID = 'distant';
const REPLICAS = 3;
/** Like a connection to another region; slow enough for faults to hit running fills. */
const ORIGIN_BYTES_PER_SECOND = 40 * MIB;
const ORIGIN_LATENCY_MS = 5;
/** For each worker; at least for two, so that one worker runs with what it always had. */
const WORKER_BUDGET_MIB = 96;
const CHUNK_SIZE = '4Mi';
/** Chunks large enough for sparse reads. */
const HUGE_TIER = { minObjectSize: '1Gi', chunkSize: '16Mi' };
/** Short, so that the store is measured and evicted from several times a minute. */
const SWEEPS = { minAge: '10s', sweepInterval: '20s' };

/** It takes seconds, and much longer on a busy machine. */
const COUNTED_MS = 300_000;
const POLL_MS = 500;

interface ChunkFile {
  readonly path: string;
  readonly sizeBytes: number;
}

export interface SoakEnvironment extends AsyncDisposable {
  readonly directory: string;
  readonly origin: SyntheticOrigin;
  readonly originProxy: FaultProxy;
  readonly storeProxy: FaultProxy;
  readonly replicas: readonly CacheProcess[];
  /** Files of stored chunks. */
  chunkFiles(): Promise<readonly ChunkFile[]>;
  flipByte(path: string, at: number): Promise<void>;
}

export interface EnvironmentOptions {
  /** The capacity of the cachestore, such as `1536Mi`. */
  readonly capacity: string;
  /** The workers of one replica. */
  readonly workers: number;
}

export async function startEnvironment({ capacity, workers }: EnvironmentOptions): Promise<SoakEnvironment> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-soak-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const origin = started.use(
    await startSyntheticOrigin({ latencyMs: ORIGIN_LATENCY_MS, bytesPerSecond: ORIGIN_BYTES_PER_SECOND }),
  );
  const originProxy = started.use(await startFaultProxy(origin.endpoint));
  const store = started.use(await startVersitygw({ buckets: [STORE_BUCKET] }));
  const storeProxy = started.use(await startFaultProxy(store.endpoint));
  await writeSecrets(directory, store);

  const replicas: CacheProcess[] = [];
  started.defer(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
  });
  const hosts = loopbackHosts();
  for (const [index, host] of hosts.entries()) {
    const listen = { edge: `${host}:8443`, peer: peerAddress(host), ops: `${host}:8442` };
    const config = {
      ...configOf(directory, originProxy.endpoint, storeProxy.endpoint, capacity),
      workers,
      memory: { budget: `${WORKER_BUDGET_MIB * Math.max(2, workers)}Mi` },
      listen,
      peers: {
        type: 'Static',
        self: listen.peer,
        static: { peers: hosts.map(peerAddress) },
        auth: { directory: join(directory, 'peers') },
      },
    };
    replicas.push(await startCacheProcess(`replica-${index + 1}`, directory, config, listen));
  }

  await allCounted(replicas);

  const chunkFolder = join(store.directory, STORE_BUCKET, ORIGIN_ID);
  const owned = started.move();
  return {
    directory,
    origin,
    originProxy,
    storeProxy,
    replicas,
    chunkFiles: () => filesIn(chunkFolder),
    flipByte,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Before they know what the empty store holds, they evict nothing. */
async function allCounted(replicas: readonly CacheProcess[]): Promise<void> {
  const deadlineMs = performance.now() + COUNTED_MS;
  for (const replica of replicas)
    while (!(await replica.sample()).metrics.has('orca_store_used_bytes')) {
      if (performance.now() > deadlineMs) throw new Error(`${replica.name} has not counted the cachestore`);
      await delay(POLL_MS);
    }
}

/** Random addresses in 127/8, so that no other program uses their ports. */
function loopbackHosts(): string[] {
  const [second = 0, third = 0] = randomBytes(2);
  return Array.from({ length: REPLICAS }, (_, index) => `127.${30 + (second % 200)}.${third}.${index + 1}`);
}

function peerAddress(host: string): string {
  return `${host}:8444`;
}

async function writeSecrets(
  directory: string,
  { accessKeyId, secretAccessKey }: { readonly accessKeyId: string; readonly secretAccessKey: string },
): Promise<void> {
  for (const name of ['s3', 'peers']) await mkdir(join(directory, name));
  await writeFile(join(directory, 's3', 'access-key-id'), accessKeyId);
  await writeFile(join(directory, 's3', 'secret-access-key'), secretAccessKey);
  await writeFile(join(directory, 'peers', 'key'), randomBytes(32));
}

function configOf(directory: string, originEndpoint: string, storeEndpoint: string, capacity: string): object {
  const s3 = (endpoint: string) => ({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { directory: join(directory, 's3') },
  });
  return {
    origin: { id: ORIGIN_ID, type: 'S3', s3: s3(originEndpoint), buckets: [{ name: BUCKET }] },
    cacheStore: {
      type: 'S3',
      s3: { ...s3(storeEndpoint), bucket: STORE_BUCKET },
      capacity,
      // Stored bytes are flipped, and each byte that a client gets is compared: all blocks must be verified.
      verifyRanges: true,
      ...SWEEPS,
    },
    chunking: { size: CHUNK_SIZE, tiers: [HUGE_TIER] },
    // Short, so that metadata is revalidated several times in a run.
    metadata: { ttl: '30s' },
    shutdown: { propagationDelay: '0s', drainTimeout: '5s' },
    logLevel: 'warn',
  };
}

async function filesIn(folder: string): Promise<readonly ChunkFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        // A file that is being replaced or evicted is missing.
        const found = await stat(path).catch(() => undefined);
        return { path, sizeBytes: found?.size ?? 0 };
      }),
  );
}

async function flipByte(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  const { bytesRead } = await file.read(byte, 0, 1, at);
  if (bytesRead === 1) await file.write(Buffer.from([~(byte[0] ?? 0) & 0xff]), 0, 1, at);
}
