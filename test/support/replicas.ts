/**
 * A whole cache in one process, as a cluster would run it: a real S3 server as the origin and one (or a directory) as
 * the cachestore, each behind a proxy that counts and injects faults, and N replicas with configurations of their own that find
 * each other over TCP on loopback.
 */
import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { openCache, type Cache } from '#cache/app.ts';
import type { Config } from '#cache/config/config.ts';
import { formatAddress } from '#cache/config/listen-address.ts';
import { parseConfig } from '#cache/config/load.ts';
import { encodeVerdict } from '#cache/core/store-verdict.ts';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { systemClock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { openLog } from '#shared/log.ts';
import { keepSaid, keepsEvidence, noteSecretDirectory } from './evidence.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { http } from './http.ts';
import { readMetric } from './metric.ts';
import { until } from './until.ts';
import { startVersitygw, type Versitygw } from './versitygw.ts';

export const MIB = 1024 * 1024;
/** The name of the bucket for clients, and at the origin. */
export const BUCKET = 'models';
export const ORIGIN_BUCKET = 'far-models';
export const STORE_BUCKET = 'chunks';
export const ORIGIN_ID = 'far';

/** A turn of an event loop that all replicas, proxies and clients share may take a second on a busy machine. */
const PEER_DEAD_AFTER_MS = 10_000;

/** A failed commit is retried after up to 30 s, and after the time for which a breaker stays open. */
const COMMITS_MS = 100_000;
/** For steps that take milliseconds on an idle machine. */
const LIMIT_MS = 30_000;

type Changes = Readonly<Record<string, unknown>>;

export type StoreKind = 'S3' | 'Filesystem';

export interface ReplicasOptions {
  /** Default 1. */
  readonly replicas?: number;
  /** Default S3. */
  readonly store?: StoreKind;
  /** The IP address of all listeners; default: one of its own out of 127/8 for each replica. */
  readonly host?: string;
  /** Default 1Mi. */
  readonly chunkSize?: string;
  /** Default 8. */
  readonly readahead?: number;
  /** Default 256Mi for each replica. */
  readonly budget?: string;
  /** The peers in a replica's configuration; default all. */
  readonly peersOf?: (index: number, addresses: readonly string[]) => readonly string[];
  /** Dotted paths of every replica's file and their values; or of each one's. */
  readonly changes?: Changes | ((index: number, address: string) => Changes);
  /** The cluster's secret as each replica has it; default one key for all. */
  readonly peerKeysOf?: (index: number) => { readonly key: Uint8Array; readonly previousKey?: Uint8Array };
  /** Whether the store's verdict is noted there before the first replica starts; default true: no test waits for a probe. */
  readonly storeKnown?: boolean;
  /**
   * A link between a replica and the origin, its store, or another replica: maps the listening address (`ip:port`) to the
   * one to connect to. Bytes are counted behind it.
   */
  readonly link?: (to: 'origin' | 'store' | 'peer', address: string) => Promise<string>;
  /** A store that is already there, instead of a versitygw of our own. */
  readonly storeEndpoint?: string;
  /** Where the files of a Filesystem store lie, or the bucket of that endpoint; default: a temporary directory. */
  readonly storeDirectory?: string;
  /** The Kubernetes API, for `prewarms` in the configuration. */
  readonly kube?: KubeClient;
  /** The buckets of the origin can keep versions. */
  readonly originVersioning?: boolean;
  /** An origin that is already there, instead of a versitygw of our own. */
  readonly originEndpoint?: string;
}

export interface Replica {
  /** `http://ip:port` of its listeners. */
  readonly edge: string;
  readonly peer: string;
  readonly ops: string;
  /** `ip:port`: what the others know it as. */
  readonly address: string;
  /** Its configuration, for a process of its own. */
  readonly file: string;
  readonly cache: Cache;
  /** What it has logged, level warn and above. */
  readonly logLines: readonly string[];
  /** The sum of all series of a metric in `/metrics` that have these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** As on SIGTERM. */
  stop(): Promise<void>;
}

export interface Replicas extends AsyncDisposable {
  readonly origin: Versitygw;
  readonly originProxy: FaultProxy;
  /** Only for an S3 store. */
  readonly store: Versitygw;
  readonly storeProxy: FaultProxy;
  /** Where the store's files lie. */
  readonly storeDirectory: string;
  readonly all: readonly Replica[];
  readonly peerKey: Buffer;
  put(key: string, body: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /**
   * Stops every replica and starts new ones at the same addresses: all memory is empty. `down`: do not
   * wait until they have seen the store.
   */
  restart(store?: 'down'): Promise<void>;
  /** Resolves when no fill runs anywhere and no commit waits. */
  idle(): Promise<void>;
  /** Drops what the replicas keep in memory of chunks: the next read goes to the store. */
  forgetMemory(): void;
  /** The chunks that are stored, by path (`<origin id>/<hash>/<index>`), and their files. */
  stored(): Promise<ReadonlyMap<string, string>>;
  /** The sum over all replicas. */
  total(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** All memory is released, except for the memory tier's. */
  expectNothingHeld(): Promise<void>;
}

export async function startReplicas(options: ReplicasOptions = {}): Promise<Replicas> {
  const { store: kind = 'S3', replicas: count = 1 } = options;
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-replicas-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const versioning = options.originVersioning ?? false;
  const origin = started.use(await startVersitygw({ buckets: [ORIGIN_BUCKET], versioning }));
  const originProxy = started.use(await startFaultProxy(options.originEndpoint ?? origin.endpoint));
  const isOwnStore = kind === 'S3' && options.storeEndpoint === undefined;
  const store = isOwnStore ? started.use(await startVersitygw({ buckets: [STORE_BUCKET] })) : undefined;
  const storeEndpoint = options.storeEndpoint ?? store?.endpoint;
  const storeProxy = storeEndpoint === undefined ? undefined : started.use(await startFaultProxy(storeEndpoint));
  const ownDirectory = store === undefined ? join(directory, 'store') : join(store.directory, STORE_BUCKET);
  const storeDirectory = options.storeDirectory ?? ownDirectory;
  if (options.storeKnown ?? true) await noteVerdict(origin, storeEndpoint, storeDirectory);
  const peerKey = randomBytes(32);
  await writeSecrets(
    directory,
    origin,
    Array.from({ length: count }, (_, index) => options.peerKeysOf?.(index) ?? { key: peerKey }),
  );

  // A net of our own out of 127/8: no other test's port can be in the way.
  const net = `127.${(20 + (randomBytes(1)[0] ?? 0) / 2) | 0}.${randomBytes(1)[0] ?? 0}`;
  const hosts = Array.from({ length: count }, (_, index) => options.host ?? `${net}.${index + 1}`);
  const listening = await Promise.all(hosts.map(async (host) => formatAddress({ host, port: await freePort(host) })));
  const { link = async (_to, address) => address } = options;
  const linked = async (to: 'origin' | 'store', endpoint: string) => `http://${await link(to, new URL(endpoint).host)}`;
  /** The addresses by which replicas know each other; those of links where a link is between them. */
  const addresses: string[] = [];
  for (const address of listening) addresses.push(await link('peer', address));
  const originAt = await linked('origin', originProxy.endpoint);
  const storeAt = storeProxy && (await linked('store', storeProxy.endpoint));
  const files = hosts.map((host, index) => {
    const file = {
      ...sectionsFor(directory, originAt, storeAt, storeDirectory, options),
      listen: { edge: formatAddress({ host, port: 0 }), peer: listening[index], ops: formatAddress({ host, port: 0 }) },
      peers: {
        type: 'Static',
        self: addresses[index],
        static: { peers: options.peersOf?.(index, addresses) ?? addresses },
        auth: { directory: join(directory, `peers-${index}`) },
      },
    };
    const { changes = {} } = options;
    return stringify(changed(file, typeof changes === 'function' ? changes(index, addresses[index] ?? '') : changes));
  });

  const running: RunningReplica[] = [];
  const stopAll = async (): Promise<void> => {
    await Promise.all(
      running.splice(0).map(async (replica) => {
        await replica.keepLast();
        await replica.stop();
      }),
    );
  };
  const startAll = async (): Promise<void> => {
    for (const [index, file] of files.entries())
      running.push(await startReplica(file, hosts[index] ?? '', addresses[index] ?? '', options.kube));
  };
  /** Before they know whose origin id this is, they commit nothing; before they know the store, by a look more. */
  const identified = async (): Promise<void> => {
    await until(
      () => running.every(({ cache }) => cache.engine.identity.state === 'ours'),
      'the origin is ours',
      LIMIT_MS,
    );
    if (options.storeKnown ?? true)
      await until(
        () => running.every(({ cache }) => cache.storeProbe.verdict !== undefined),
        'the store is known',
        LIMIT_MS,
      );
  };
  started.defer(stopAll);
  await startAll();
  await identified();
  const owned = started.move();
  return {
    origin,
    originProxy,
    get store() {
      return present(store);
    },
    get storeProxy() {
      return present(storeProxy);
    },
    storeDirectory,
    all: running,
    peerKey,
    put: (key, body) => origin.putObject(ORIGIN_BUCKET, key, body),
    remove: (key) => origin.deleteObject(ORIGIN_BUCKET, key),
    async restart(store) {
      await stopAll();
      await startAll();
      if (store !== 'down') await identified();
    },
    async idle() {
      await Promise.all(running.map(({ cache }) => cache.engine.idle()));
      await until(() => running.every(({ cache }) => cache.engine.outbox.count === 0), 'no commit waits', COMMITS_MS);
    },
    forgetMemory() {
      for (const { cache } of running) cache.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    },
    async stored() {
      const entries = await readdir(storeDirectory, { recursive: true, withFileTypes: true }).catch(noneYet);
      return new Map(
        entries
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .filter((path) => relative(storeDirectory, path).startsWith(`${ORIGIN_ID}/`))
          .map((path) => [relative(storeDirectory, path), path]),
      );
    },
    async total(name, labels) {
      const values = await Promise.all(running.map((replica) => replica.metric(name, labels)));
      return values.reduce((sum, value) => sum + value, 0);
    },
    async expectNothingHeld() {
      await Promise.all(running.map(({ cache }) => cache.engine.idle()));
      for (const { address, cache } of running) {
        const { memory, memoryTier } = cache.engine;
        const held = () => memory.usedBytes - memoryTier.sizeBytes;
        await until(() => held() === 0, `${address} holds nothing but its memory tier`, LIMIT_MS);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface RunningReplica extends Replica {
  /** Before a stop that no test checks: keeps the replica's status as evidence. */
  keepLast(): Promise<void>;
}

async function startReplica(
  file: string,
  host: string,
  address: string,
  kube: KubeClient | undefined,
): Promise<RunningReplica> {
  const stopping = new AbortController();
  const logLines: string[] = [];
  const said = keepSaid('replica');
  const heard = (line: string): void => {
    said(line);
    if (!/^\{"level":"(?:debug|info)"/.test(line)) logLines.push(line);
  };
  const config = parseConfig(file, { env: {}, memory: { constrainedBytes: 0, totalBytes: 64 * 1024 * MIB } });
  const cache = await openCache({
    config,
    env: {},
    clock: systemClock,
    log: openLog({ name: 'orcacache', level: config.logLevel, write: heard }),
    stopping: stopping.signal,
    ...(kube !== undefined && { kube }),
    poisonMemory: true,
    peerDeadAfterMs: PEER_DEAD_AFTER_MS,
  });
  let stopped: Promise<void> | undefined;
  const urlOf = (port: number): string => `http://${formatAddress({ host, port })}`;
  const ops = urlOf(cache.ports.ops);
  const noteSecrets = async (): Promise<void> => {
    for (const directory of secretDirectoriesOf(config)) await noteSecretDirectory(directory);
  };
  await noteSecrets();
  const keepLast = async (): Promise<void> => {
    if (!keepsEvidence) return;
    const pages = ['/metrics', '/status', '/readyz?verbose'].map((page) => http(ops, page));
    await noteSecrets();
    for (const { body } of await Promise.all(pages)) said(body.toString());
  };
  return {
    edge: urlOf(cache.ports.edge),
    peer: `http://${address}`,
    ops,
    address,
    file,
    cache,
    logLines,
    keepLast,
    metric: (name, labels) => readMetric(ops, name, labels),
    stop() {
      stopping.abort(new Error('the test is over'));
      stopped ??= cache.shutDown();
      return stopped;
    },
  };
}

/** The directories of secrets in the configuration. */
function secretDirectoriesOf({ origin, cacheStore, edge, peers }: Config): string[] {
  const auth = edge.auth.type === 'Anonymous' ? undefined : edge.auth.directory;
  return [credentialsOf(origin), credentialsOf(cacheStore), auth, edge.tlsDirectory, peers.authDirectory].filter(
    (path) => path !== undefined,
  );
}

/** The credentials directory of the configured kind. */
function credentialsOf(section: Config['origin'] | Config['cacheStore']): string | undefined {
  for (const settings of Object.values<unknown>(section)) {
    if (typeof settings !== 'object' || settings === null) continue;
    const { credentials, credentialsDirectory } = settings as {
      readonly credentials?: { readonly path?: string };
      readonly credentialsDirectory?: string;
    };
    const directory = credentials?.path ?? credentialsDirectory;
    if (directory !== undefined) return directory;
  }
  return undefined;
}

function sectionsFor(
  directory: string,
  originEndpoint: string,
  storeEndpoint: string | undefined,
  storeDirectory: string,
  options: ReplicasOptions,
): Record<string, unknown> {
  const s3 = (endpoint: string) => ({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { directory: join(directory, 's3') },
  });
  return {
    origin: {
      id: ORIGIN_ID,
      type: 'S3',
      s3: s3(originEndpoint),
      buckets: [{ name: BUCKET, originBucket: ORIGIN_BUCKET }],
    },
    cacheStore:
      storeEndpoint === undefined
        ? { type: 'Filesystem', filesystem: { path: storeDirectory } }
        : { type: 'S3', s3: { ...s3(storeEndpoint), bucket: STORE_BUCKET } },
    chunking: { size: options.chunkSize ?? '1Mi', tiers: [], readahead: options.readahead ?? 8 },
    memory: { budget: options.budget ?? '256Mi' },
    shutdown: { propagationDelay: '0s', drainTimeout: '5s' },
    logLevel: keepsEvidence ? 'debug' : 'warn',
  };
}

function changed(file: Record<string, unknown>, changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  for (const [path, value] of Object.entries(changes)) {
    const steps = path.split('.');
    const last = steps.pop() ?? '';
    let at = file;
    for (const step of steps) at = (at[step] ??= {}) as Record<string, unknown>;
    at[last] = value;
  }
  return file;
}

/** The state that an earlier replica would have left. `gateway`: every store here accepts its credentials. */
async function noteVerdict(gateway: Versitygw, storeEndpoint: string | undefined, directory: string): Promise<void> {
  const store =
    storeEndpoint === undefined
      ? openFilesystemStore({ path: directory })
      : openS3Store({ ...gateway.client, endpoint: storeEndpoint, bucket: STORE_BUCKET });
  const note = encodeVerdict({ condition: 'atomic', problems: [], versioned: false, probedAtMs: Date.now() });
  await store.putSmall('_orca/store-verdict', note, { signal: AbortSignal.timeout(LIMIT_MS) });
  await store.close();
}

/** A filesystem store creates its directory with its first chunk. */
function noneYet(error: unknown): Dirent[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
  throw error;
}

async function writeSecrets(
  directory: string,
  gateway: Versitygw,
  peerKeys: readonly { readonly key: Uint8Array; readonly previousKey?: Uint8Array }[],
): Promise<void> {
  await mkdir(join(directory, 's3'));
  await writeFile(join(directory, 's3', 'access-key-id'), gateway.accessKeyId);
  await writeFile(join(directory, 's3', 'secret-access-key'), gateway.secretAccessKey);
  for (const [index, { key, previousKey }] of peerKeys.entries()) {
    const peers = join(directory, `peers-${index}`);
    await mkdir(peers);
    await writeFile(join(peers, 'key'), key);
    if (previousKey !== undefined) await writeFile(join(peers, 'previous-key'), previousKey);
  }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('this cache has no S3 store');
  return value;
}
