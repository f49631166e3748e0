/** What stands around the replicas: an origin without a disk and a real cachestore, each behind a proxy that spoils. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFaultProxy, type FaultProxy } from '#test/support/fault-proxy.ts';
import { startVersitygw } from '#test/support/versitygw.ts';
import { startSyntheticOrigin, type SyntheticOrigin } from '#hack/demo-support/synthetic-origin.ts';
import { startCacheProcess, type CacheProcess } from './cache-process.ts';

const MIB = 1024 * 1024;
export const BUCKET = 'models';
const STORE_BUCKET = 'chunks';
const ORIGIN_ID = 'far';
const REPLICAS = 3;
/** Of a 100 MB/s line to another region; a fill takes long enough to be disturbed. */
const ORIGIN_BYTES_PER_SECOND = 40 * MIB;
const ORIGIN_LATENCY_MS = 5;
const BUDGET = '192Mi';
const CHUNK_SIZE = '4Mi';
/** Little of a large chunk is read by itself. */
const HUGE_TIER = { minObjectSize: '1Gi', chunkSize: '16Mi' };
/** As buckets with a lifecycle rule do, the oldest chunks go when there is more. */
const STORE_LIMIT_BYTES = 1_536 * MIB;

export interface Surroundings extends AsyncDisposable {
  readonly directory: string;
  readonly origin: SyntheticOrigin;
  readonly originProxy: FaultProxy;
  readonly storeProxy: FaultProxy;
  readonly replicas: readonly CacheProcess[];
  /** Files of chunks, the oldest first. */
  chunkFiles(): Promise<{ readonly path: string; readonly sizeBytes: number }[]>;
  /** Deletes the oldest chunks beyond the limit; how many. */
  sweep(): Promise<number>;
  /** Turns one byte of a file over. */
  flip(path: string, at: number): Promise<void>;
}

export async function startSurroundings(): Promise<Surroundings> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-soak-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const origin = started.use(
    await startSyntheticOrigin({ latencyMs: ORIGIN_LATENCY_MS, bytesPerSecond: ORIGIN_BYTES_PER_SECOND }),
  );
  const originProxy = started.use(await startFaultProxy(origin.endpoint));
  const store = started.use(await startVersitygw({ buckets: [STORE_BUCKET] }));
  const storeProxy = started.use(await startFaultProxy(store.endpoint));
  for (const name of ['s3', 'peers']) await mkdir(join(directory, name));
  await writeFile(join(directory, 's3', 'access-key-id'), store.accessKeyId);
  await writeFile(join(directory, 's3', 'secret-access-key'), store.secretAccessKey);
  await writeFile(join(directory, 'peers', 'key'), randomBytes(32));

  // A net of our own out of 127/8: no port of anybody else can be in the way.
  const [b = 0, c = 0] = randomBytes(2);
  const hosts = Array.from({ length: REPLICAS }, (_, i) => `127.${30 + (b % 200)}.${c}.${i + 1}`);
  const peers = hosts.map((host) => `${host}:8444`);
  const replicas: CacheProcess[] = [];
  started.defer(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
  });
  for (const [i, host] of hosts.entries()) {
    const listen = { edge: `${host}:8443`, peer: `${host}:8444`, ops: `${host}:8442` };
    const s3 = (endpoint: string) => ({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { directory: join(directory, 's3') },
    });
    const config = {
      origin: { id: ORIGIN_ID, type: 'S3', s3: s3(originProxy.endpoint), buckets: [{ name: BUCKET }] },
      cacheStore: { type: 'S3', s3: { ...s3(storeProxy.endpoint), bucket: STORE_BUCKET } },
      chunking: { size: CHUNK_SIZE, tiers: [HUGE_TIER] },
      // What is known of an object is asked again several times in a run.
      metadata: { ttl: '30s' },
      memory: { budget: BUDGET },
      shutdown: { propagationDelay: '0s', drainTimeout: '5s' },
      logLevel: 'warn',
      listen,
      peers: { type: 'Static', self: peers[i], static: { peers }, auth: { directory: join(directory, 'peers') } },
    };
    replicas.push(await startCacheProcess(`replica-${i + 1}`, directory, config, listen));
  }

  async function chunkFiles() {
    const root = join(store.directory, STORE_BUCKET, ORIGIN_ID);
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map(async (entry) => {
          const path = join(entry.parentPath, entry.name);
          // One that is being replaced is not there for a moment.
          const found = await stat(path).catch(() => undefined);
          return { path, sizeBytes: found?.size ?? 0, madeMs: found?.mtimeMs ?? 0 };
        }),
    );
    return files.toSorted((one, other) => one.madeMs - other.madeMs);
  }

  const owned = started.move();
  return {
    directory,
    origin,
    originProxy,
    storeProxy,
    replicas,
    chunkFiles,
    async sweep() {
      const files = await chunkFiles();
      let left = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      let swept = 0;
      for (const { path, sizeBytes } of files) {
        if (left <= STORE_LIMIT_BYTES) break;
        await rm(path, { force: true });
        left -= sizeBytes;
        swept += 1;
      }
      return swept;
    },
    async flip(path, at) {
      await using file = await open(path, 'r+');
      const byte = Buffer.alloc(1);
      const { bytesRead } = await file.read(byte, 0, 1, at);
      if (bytesRead === 1) await file.write(Buffer.from([~(byte[0] ?? 0) & 0xff]), 0, 1, at);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
