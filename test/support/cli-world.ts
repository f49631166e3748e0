/** A cluster for the command line as recorded answers, and runs of the program against it. */
import type { CachePod, Cluster, ExecResult, Prewarms } from '#cache/cli/cluster/cluster.ts';
import { colors, type Io } from '#cache/cli/frame/io.ts';
import { run } from '#cache/cli/run.ts';
import type { Clock } from '#shared/clock.ts';
import type { Query } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';

export type Json = Record<string, unknown>;

/** The clock of this machine, in the recorded answers. */
export const NOW_MS = Date.parse('2026-11-28T12:00:00Z');

export interface RecordedPod {
  readonly name: string;
  /** Undefined = the pod does not answer. */
  readonly status: Json | undefined;
  readonly top?: Json | undefined;
  readonly store?: Json | undefined;
  readonly prewarms?: Json | undefined;
  readonly failure?: KubeError;
  readonly resource: Json;
}

export interface World {
  cache: Json;
  pods: RecordedPod[];
  /** `/objects` of each pod. */
  objects: (pod: string, query: Query) => unknown;
  /** The commands that ran in pods. */
  readonly commands: string[][];
  exec: (command: readonly string[]) => ExecResult;
  /** The OrcaPrewarms; a created one is added. */
  prewarms: Json[];
  /** `/reads` of each pod. */
  reads: (pod: string, versions: readonly string[]) => unknown;
  /** `/pins` of each pod. */
  pins: Json[];
  /** Called before each `get` of a prewarm: the state may change. */
  onLook: () => void;
}

const CHUNK = 8 * 1024 * 1024;

/** A cache of two replicas in which nothing is wrong. */
export function healthyWorld(): World {
  return {
    cache: {
      metadata: { name: 'models', namespace: 'ml', generation: 3 },
      spec: {
        replicas: 2,
        origin: { type: 'S3', id: 'models-eu', buckets: [{ name: 'models' }, { name: 'data-*' }] },
      },
      status: {
        observedGeneration: 3,
        conditions: [
          { type: 'Ready', status: 'True', reason: 'ReplicasReady', message: 'all replicas are ready' },
          { type: 'Reconciling', status: 'False', reason: 'ReplicasReady', message: '' },
          { type: 'CacheStoreReady', status: 'True', reason: 'Atomic', message: 'atomic' },
        ],
      },
    },
    pods: [recordedPod('models-a', 0), recordedPod('models-b', 1)],
    objects: () => {
      throw new KubeError(404, '', 'GET /objects: 404 404 Not Found (not JSON)');
    },
    commands: [],
    exec: (command) => {
      const keys = command.length - command.indexOf('--') - 2;
      const deleted = command.includes('--chunks') ? `deleted ${keys * 3} chunks, ${keys * 3 * CHUNK} bytes\n` : '';
      return { exitCode: 0, stdout: `purged ${keys}\n${deleted}`, stderr: '' };
    },
    prewarms: [],
    pins: [],
    reads: (_pod, versions) => ({ lastReadMs: versions.map(() => null) }),
    onLook: () => {},
  };
}

export function recordedPod(name: string, index: number): RecordedPod {
  const totals = {
    requests: 1_000 * (index + 1),
    byCache: { HIT: 900 * (index + 1), MISS: 80 * (index + 1), STALE: 0, NONE: 20 * (index + 1) },
    clientErrors: 3,
    serverErrors: 0,
    servedBytes: 4_000 * CHUNK,
    bySource: { memory: 3_000 * CHUNK, store: 900 * CHUNK, peer: 50 * CHUNK, peer_fill: 0, fill: 50 * CHUNK },
    originRequests: 90,
    originErrors: 0,
    originBytes: 50 * CHUNK,
    fills: 50,
    failedFills: 0,
    committedBytes: 50 * CHUNK,
  };
  const account = {
    state: 'ok',
    usedBytes: 3 * 1024 ** 4,
    chunks: 400_000,
    pinnedBytes: 0,
    foreignBytes: 0,
    capacityBytes: 4 * 1024 ** 4,
    lastSweepMs: NOW_MS - 60_000,
  };
  return {
    name,
    status: {
      version: '0.1.0',
      configHash: 'c0de',
      originId: 'models-eu',
      ready: true,
      checks: { peers: { ok: true, message: 'listed' }, 'bucket models': { ok: true, message: 'reachable' } },
      runtime: { problems: [] },
      identity: { state: 'ours', message: '' },
      origin: { models: { state: 'reachable', message: '' } },
      originBreakers: {},
      store: {
        breaker: 'closed',
        full: false,
        condition: 'atomic',
        message: 'atomic',
        problems: [],
        versioned: false,
        hung: 0,
      },
      capacity: account,
      peers: { self: `10.0.0.${index}:8444`, owners: [], terminating: [], epoch: 'e1', staleMs: 1_000 },
      memory: { budgetBytes: 1024 ** 3, windowBytes: 0, fillBytes: 0, tierBytes: 0 },
    },
    top: {
      dateMs: NOW_MS,
      totals,
      windowMs: 300_000,
      window: totals,
      slowest: [
        {
          method: 'GET',
          bucket: 'models',
          key: 'llama/model-1.safetensors',
          status: 200,
          cache: 'MISS',
          durationMs: 4_200 + index,
        },
      ],
      now: {
        fillsRunning: 2,
        originRunning: 3,
        originQueued: 0,
        originSlots: 64,
        commitsWaiting: 0,
        memoryBudgetBytes: 1024 ** 3,
        memoryUsedBytes: 512 * 1024 ** 2,
        memoryTierBytes: 0,
        waitingStarted: 0,
        waitingNew: 0,
      },
    },
    store: {
      ...account,
      byBucket: [
        ['models', 2 * 1024 ** 4],
        ['data-x', 1024 ** 4],
      ],
    },
    resource: {
      metadata: { name, namespace: 'ml' },
      spec: {
        nodeName: `node-${index + 1}`,
        containers: [{ name: 'cache', resources: { limits: { memory: '2Gi' } } }],
      },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ name: 'cache', restartCount: 0, lastState: {} }],
      },
    },
  };
}

export function fakeCluster(world: World): Cluster {
  const podOf = ({ name, resource }: RecordedPod): CachePod => ({ name, namespace: 'ml', isRunning: true, resource });
  return {
    namespace: 'ml',
    caches: async () => [{ name: 'models', namespace: 'ml', resource: world.cache }],
    pods: async () => world.pods.map(podOf),
    async get({ name }, path, query) {
      const pod = world.pods.find((each) => each.name === name)!;
      if (pod.failure !== undefined) throw pod.failure;
      if (path === '/objects') return world.objects(name, query);
      if (path === '/reads') return world.reads(name, String(query['versions']).split(','));
      const answer = {
        '/status': pod.status,
        '/top': pod.top,
        '/store': pod.store,
        '/pins': { pins: world.pins },
        '/prewarms': pod.prewarms,
      }[path];
      if (answer === undefined) throw new KubeError(404, '', `GET ${path}: 404 404 Not Found (not JSON)`);
      return answer;
    },
    async run(_pod, command) {
      world.commands.push([...command]);
      return world.exec(command);
    },
    prewarms: fakePrewarms(world),
  };
}

/** As the API server: a name for `generateName`, a uid, 404 and 409. */
function fakePrewarms(world: World): Prewarms {
  const metadataOf = (prewarm: Json): Json => prewarm['metadata'] as Json;
  const find = (name: string): Json => {
    const found = world.prewarms.find((each) => metadataOf(each)['name'] === name);
    if (found !== undefined) return found;
    const message = `orcaprewarms.orcacache.dev "${name}" not found`;
    throw new KubeError(404, 'NotFound', `GET /p: 404 ${message}`, { details: { name } });
  };
  return {
    list: async () => world.prewarms,
    async get(name) {
      world.onLook();
      return find(name);
    },
    async create(prewarm) {
      const metadata = metadataOf(prewarm);
      const name = (metadata['name'] as string | undefined) ?? `${String(metadata['generateName'])}x7k2p`;
      if (world.prewarms.some((each) => metadataOf(each)['name'] === name))
        throw new KubeError(409, 'AlreadyExists', `POST /p: 409 orcaprewarms.orcacache.dev "${name}" already exists`);
      const created = {
        ...prewarm,
        metadata: { ...metadata, name, uid: `uid-${world.prewarms.length + 1}` },
        status: { observedGeneration: -1 },
      };
      world.prewarms.push(created);
      return created;
    },
    async delete(name, uid) {
      const found = find(name);
      if (metadataOf(found)['uid'] !== uid) throw new KubeError(409, 'Conflict', 'DELETE /p: 409 the UID differs');
      world.prewarms = world.prewarms.filter((each) => each !== found);
    },
  };
}

export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export const fixedClock: Clock = {
  now: () => NOW_MS,
  date: () => NOW_MS,
  sleep: async () => {},
  after: () => () => {},
};

export interface RunCliOptions {
  readonly connect?: Parameters<typeof run>[0]['connect'];
  readonly io?: Partial<Io>;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/** `line`: the words after `kubectl orca`, separated by blanks. */
export async function runCli(
  line: string | readonly string[],
  world: World,
  options: RunCliOptions = {},
): Promise<Ran> {
  let [out, err] = ['', ''];
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTerminal: false,
    showsProgress: false,
    size: () => ({ columns: 120, rows: 40 }),
    color: colors(false),
    env: {},
    ...options.io,
  };
  const exitCode = await run({
    argv: typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line,
    io,
    clock: options.clock ?? fixedClock,
    signal: options.signal ?? new AbortController().signal,
    connect: options.connect ?? (async () => fakeCluster(world)),
  });
  return { exitCode, out, err };
}
