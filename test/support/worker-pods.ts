/** Pods with several workers, as processes on loopback: `node cache/main.ts` of each forks its workers. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort, freePorts } from '#hack/lab/free-ports.ts';
import { keepSaid } from './evidence.ts';
import { http } from './http.ts';
import { readMetric } from './metric.ts';
import { until } from './until.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** Node starts in half a second, and much later on a busy machine. */
const START_LIMIT_MS = 60_000;
/** All processes start meanwhile, and need the CPU. */
const POLL_MS = 50;
const STOP_LIMIT_MS = 30_000;
const BUCKET = 'models';

export interface WorkerStatus {
  readonly index: number;
  readonly pid: number | null;
  readonly state: string;
  readonly restarts: number;
  readonly ready: boolean;
  readonly self: string | null;
}

export interface WorkerPod {
  readonly edge: string;
  readonly ops: string;
  readonly pid: number;
  /** Its exit code, once it has ended. */
  readonly exited: Promise<number | null>;
  workers(): Promise<readonly WorkerStatus[]>;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  kill(signal: NodeJS.Signals): void;
  logs(): string;
}

export interface WorkerPods extends AsyncDisposable {
  readonly pods: readonly WorkerPod[];
  readonly bucket: string;
  /** The configuration of the first pod. */
  readonly configFile: string;
}

export interface WorkerPodsOptions {
  readonly pods?: number;
  readonly workers: number;
  readonly originEndpoint: string;
  /** Changes of the top-level keys of the config file. */
  readonly changes?: Readonly<Record<string, unknown>>;
}

/** All use one cachestore in a temporary directory. Resolves when all pods are ready. */
export async function startWorkerPods(options: WorkerPodsOptions): Promise<WorkerPods> {
  await using started = new AsyncDisposableStack();
  const { pods: count = 1, workers, originEndpoint, changes } = options;
  const directory = await mkdtemp(join(tmpdir(), 'orca-workers-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  for (const name of ['store', 'keys', 'credentials']) await mkdir(join(directory, name));
  await writeFile(join(directory, 'keys/key'), randomBytes(32));
  await writeFile(join(directory, 'credentials/access-key-id'), 'any');
  await writeFile(join(directory, 'credentials/secret-access-key'), 'any');
  const ports = await Promise.all(
    Array.from({ length: count }, async () => ({
      edge: await freePort(),
      ops: await freePort(),
      peer: await freePorts(workers),
    })),
  );
  const peers = ports.map(({ peer }) => `127.0.0.1:${peer}`);
  const files = ports.map(({ edge, ops, peer }, index) => {
    const text = stringify({
      workers,
      origin: {
        id: 'far',
        type: 'S3',
        s3: {
          endpoint: originEndpoint,
          region: 'us-east-1',
          forcePathStyle: true,
          credentials: { directory: join(directory, 'credentials') },
        },
        buckets: [{ name: BUCKET }],
      },
      cacheStore: { type: 'Filesystem', filesystem: { path: join(directory, 'store') } },
      chunking: { size: '1Mi', tiers: [] },
      memory: { budget: '64Mi' },
      listen: { edge: `127.0.0.1:${edge}`, peer: `127.0.0.1:${peer}`, ops: `127.0.0.1:${ops}` },
      peers: {
        type: 'Static',
        self: `127.0.0.1:${peer}`,
        static: { peers },
        auth: { directory: join(directory, 'keys') },
      },
      shutdown: { propagationDelay: '0s', drainTimeout: '10s' },
      ...changes,
    });
    return { file: join(directory, `config-${index}.yaml`), text };
  });
  const pods = await Promise.all(
    files.map(async ({ file, text }, index) => {
      await writeFile(file, text);
      return startPod(file, ports[index]!, started);
    }),
  );
  const owned = started.move();
  return { pods, bucket: BUCKET, configFile: files[0]!.file, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function startPod(
  file: string,
  ports: { readonly edge: number; readonly ops: number },
  started: AsyncDisposableStack,
): Promise<WorkerPod> {
  const child = spawn(process.execPath, ['cache/main.ts', '--config', file], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  started.defer(() => stop(child, exited));
  let output = '';
  const said = keepSaid('worker-pod');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      output += String(data);
      said(String(data));
    });
  const ops = `http://127.0.0.1:${ports.ops}`;
  let isReady = false;
  const endMs = performance.now() + START_LIMIT_MS;
  while (!isReady) {
    if (child.exitCode !== null || performance.now() > endMs) throw new Error(`the pod does not start: ${output}`);
    isReady = (await http(ops, '/readyz')).status === 200;
    if (!isReady) await delay(POLL_MS);
  }
  await until(() => output.includes('"listening"'), 'the pod listens', START_LIMIT_MS);
  return {
    edge: `http://127.0.0.1:${ports.edge}`,
    ops,
    pid: child.pid!,
    exited,
    async workers() {
      const { body } = await http(ops, '/status');
      return (JSON.parse(body.toString()) as { workers: WorkerStatus[] }).workers;
    },
    metric: (name, labels) => readMetric(ops, name, labels),
    kill: (signal) => child.kill(signal),
    logs: () => output,
  };
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const tooLong = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await exited;
  clearTimeout(tooLong);
}
