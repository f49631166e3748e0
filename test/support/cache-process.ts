/** One replica as a process of its own, `node cache/main.ts`: its use of resources can be measured from outside. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { keepSaid } from './evidence.ts';
import { http } from './http.ts';
import { readMetric } from './metric.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './tls-fixture.ts';
import { until } from './until.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** Node starts in half a second, and much later on a busy machine. */
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

export interface CacheProcess extends AsyncDisposable {
  readonly edge: string;
  readonly ops: string;
  /** The most that was ever resident. */
  peakBytes(): Promise<number>;
  residentBytes(): Promise<number>;
  sockets(): Promise<number>;
  /** The sum of all series of a metric that have these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  logs(): string;
}

export interface CacheProcessOptions {
  readonly originEndpoint: string;
  readonly storeEndpoint: string;
  readonly originId: string;
  readonly bucket: string;
  readonly chunkSize: string;
  readonly budget: string;
  /** HTTPS with the test's certificate. Default: HTTP. */
  readonly tls?: boolean;
  /** Its section of the file; default: none. */
  readonly edge?: Readonly<Record<string, unknown>>;
}

export async function startCacheProcess(options: CacheProcessOptions): Promise<CacheProcess> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-process-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const credentials = join(directory, 'credentials');
  await mkdir(credentials);
  await writeFile(join(credentials, 'access-key-id'), 'any');
  await writeFile(join(credentials, 'secret-access-key'), 'any');
  const s3 = (endpoint: string) => ({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { directory: credentials },
  });
  const { originId, bucket, tls = false } = options;
  await writeFile(join(directory, 'tls.crt'), TEST_CERTIFICATE);
  await writeFile(join(directory, 'tls.key'), TEST_KEY);
  const config = join(directory, 'config.yaml');
  await writeFile(
    config,
    stringify({
      origin: { id: originId, type: 'S3', s3: s3(options.originEndpoint), buckets: [{ name: bucket }] },
      cacheStore: { type: 'S3', s3: { ...s3(options.storeEndpoint), bucket: 'chunks' } },
      chunking: { size: options.chunkSize, tiers: [] },
      memory: { budget: options.budget },
      edge: { ...options.edge, ...(tls && { tls: { directory } }) },
      listen: { edge: '127.0.0.1:0', peer: '127.0.0.1:0', ops: '127.0.0.1:0' },
      peers: { type: 'Static', self: '127.0.0.1:1', static: { peers: ['127.0.0.1:1'] } },
      shutdown: { propagationDelay: '0s', drainTimeout: '1s' },
    }),
  );
  const child = spawn(process.execPath, ['cache/main.ts', '--config', config], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close');
  started.defer(async () => {
    child.kill('SIGTERM');
    const tooLong = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await exited;
    clearTimeout(tooLong);
  });
  let output = '';
  const said = keepSaid('cache-process');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      output += String(data);
      said(String(data));
    });
  const listening = () => output.split('\n').find((line) => line.includes('"listening"'));
  await until(() => listening() !== undefined || child.exitCode !== null, 'the cache listens', START_LIMIT_MS);
  const line = listening();
  if (line === undefined) throw new Error(`the cache ended: ${output}`);
  const { ports } = JSON.parse(line) as { ports: { edge: number; ops: number } };
  const ops = `http://127.0.0.1:${ports.ops}`;
  let isReady = false;
  while (!isReady) isReady = (await http(ops, '/readyz')).status === 200;

  const proc = (name: string) => join('/proc', String(child.pid), name);
  const statusOf = async (field: string): Promise<number> => {
    const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(await readFile(proc('status'), 'utf8'))?.[1];
    return Number(kib) * 1024;
  };
  const owned = started.move();
  return {
    edge: `${tls ? 'https' : 'http'}://127.0.0.1:${ports.edge}`,
    ops,
    peakBytes: () => statusOf('VmHWM'),
    residentBytes: () => statusOf('VmRSS'),
    async sockets() {
      const links = await Promise.all(
        // Descriptors of the count itself are closed again.
        (await readdir(proc('fd'))).map((fd) => readlink(join(proc('fd'), fd)).catch(() => '')),
      );
      return links.filter((link) => link.startsWith('socket:')).length;
    },
    metric: (name, labels) => readMetric(ops, name, labels),
    logs: () => output,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
