/**
 * From the file's words and the environment to the resolved Config: units to numbers, references to sources, defaults
 * that depend on other things. Pure: what it needs to know of the process is handed in.
 */
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity, formatQuantity } from '#crds/quantity.ts';
import { CHUNKS_IN_BUDGET, holdsChunks } from '#crds/schema/behaviour.ts';
import type { PodFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import { azureAddress } from '#cache/wire/azure/address.ts';
import type { AzureEndpoint, Config, ListenAddress, S3Endpoint } from './config.ts';
import { resolveAzureCredentials, resolveCredentials } from './credentials.ts';
import { formatAddress, parseAddress } from './listen-address.ts';
import { defaultBudget, memoryLimit } from './memory-budget.ts';
import type { MemoryFacts } from './memory-budget.ts';
import { resolvePeers } from './peers.ts';
import { resolveLogLevel } from './log-level.ts';

export interface Facts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly memory: MemoryFacts;
}

/** Appends what is wrong to `mistakes`; the Config may be used only if that stays empty. */
export function resolve(file: PodFile, hash: string, facts: Facts, mistakes: Problem[]): Config {
  const listen = resolveListen(file, mistakes);
  const { origin, cacheStore, chunking, metadata, edge } = file;
  return {
    listen,
    origin: {
      id: origin.id,
      identity: origin.identity,
      type: origin.type,
      ...(origin.s3 === undefined ? {} : { s3: resolveS3(origin.s3, 'ORIGIN', facts, mistakes) }),
      ...(origin.azureBlob === undefined
        ? {}
        : { azureBlob: resolveAzure(origin.azureBlob, 'ORIGIN', facts, mistakes) }),
      buckets: origin.buckets.map((bucket) => ({
        name: bucket.name,
        originBucket: bucket.originBucket ?? bucket.name,
        prefix: bucket.prefix,
        metadataTtlMs: ms(bucket.metadataTTL ?? metadata.ttl),
        immutable: bucket.immutable,
      })),
      targetGlobal: origin.targetGlobal,
      queueTimeoutMs: ms(origin.queueTimeout),
      retry: {
        attempts: origin.retry.attempts,
        backoffInitialMs: ms(origin.retry.backoffInitial),
        backoffMaxMs: ms(origin.retry.backoffMax),
        maxTotalDurationMs: ms(origin.retry.maxTotalDuration),
      },
    },
    cacheStore: {
      type: cacheStore.type,
      ...(cacheStore.s3 === undefined
        ? {}
        : { s3: { ...resolveS3(cacheStore.s3, 'CACHESTORE', facts, mistakes), bucket: cacheStore.s3.bucket } }),
      ...(cacheStore.azureBlob === undefined
        ? {}
        : {
            azureBlob: {
              ...resolveAzure(cacheStore.azureBlob, 'CACHESTORE', facts, mistakes),
              container: cacheStore.azureBlob.container,
            },
          }),
      ...(cacheStore.filesystem === undefined ? {} : { filesystem: { path: cacheStore.filesystem.path } }),
      verifyRanges: cacheStore.verifyRanges,
    },
    chunking: {
      sizeBytes: bytes(chunking.size),
      tiers: chunking.tiers.map((tier) => ({
        minObjectSizeBytes: bytes(tier.minObjectSize),
        chunkSizeBytes: bytes(tier.chunkSize),
      })),
      readahead: chunking.readahead,
    },
    metadata: {
      ttlMs: ms(metadata.ttl),
      negativeTtlMs: ms(metadata.negativeTTL),
      staleIfErrorMs: ms(metadata.staleIfError),
      maxEntries: metadata.maxEntries,
    },
    catalog: { maxEntries: file.catalog.maxEntries },
    memory: { budgetBytes: resolveBudget(file, facts, mistakes) },
    peers: resolvePeers(file.peers, listen.peer, facts.env, mistakes),
    edge: {
      auth: resolveAuth(edge.auth),
      tlsDirectory: edge.tls?.directory,
      region: edge.region,
      virtualHostDomains: edge.virtualHostDomains,
      corsOrigins: edge.corsOrigins,
      listTtlMs: ms(edge.listTTL),
      maxConnections: edge.maxConnections,
      explain: edge.explain,
    },
    shutdown: {
      propagationDelayMs: ms(file.shutdown.propagationDelay),
      drainTimeoutMs: ms(file.shutdown.drainTimeout),
    },
    runtimeFile: file.runtimeFile,
    logLevel: resolveLogLevel(file.logLevel, facts.env, mistakes),
    hash,
  };
}

/** The schema has let a directory through exactly where there are keys. */
function resolveAuth({ type, directory = '' }: PodFile['edge']['auth']): Config['edge']['auth'] {
  return type === 'Anonymous' ? { type } : { type, directory };
}

function resolveListen({ listen }: PodFile, mistakes: Problem[]): Config['listen'] {
  const taken = new Map<string, string>();
  const at = (name: 'edge' | 'peer' | 'ops'): ListenAddress => {
    const address = parseAddress(listen[name]);
    if (address === undefined) {
      mistakes.push({ path: ['listen', name], message: 'must have a port of at most 65535' });
      return { host: '', port: 0 };
    }
    const key = formatAddress(address);
    const other = taken.get(key);
    if (other !== undefined && address.port !== 0)
      mistakes.push({ path: ['listen', name], message: `is the address of listen.${other} too` });
    taken.set(key, name);
    return address;
  };
  return { edge: at('edge'), peer: at('peer'), ops: at('ops') };
}

type S3Words = NonNullable<PodFile['origin']['s3']>;

function resolveS3(s3: S3Words, whose: 'ORIGIN' | 'CACHESTORE', facts: Facts, mistakes: Problem[]): S3Endpoint {
  return {
    endpoint: (s3.endpoint ?? '').replace(/\/$/, ''),
    region: s3.region,
    forcePathStyle: s3.forcePathStyle,
    credentials: resolveCredentials(s3.credentials?.directory, whose, facts.env, mistakes),
    caFile: s3.caFile,
  };
}

type AzureWords = NonNullable<PodFile['origin']['azureBlob']>;

function resolveAzure(
  azure: AzureWords,
  whose: 'ORIGIN' | 'CACHESTORE',
  facts: Facts,
  mistakes: Problem[],
): AzureEndpoint {
  const endpoint = (azure.endpoint ?? '').replace(/\/$/, '');
  const credentials = resolveAzureCredentials(azure.credentials?.directory, whose, facts.env);
  const { base, isTls, isLoopback } = azureAddress({ account: azure.account, endpoint });
  if (credentials.kind === 'workload-identity' && !isTls && !isLoopback)
    mistakes.push({
      path: [whose === 'ORIGIN' ? 'origin' : 'cacheStore', 'azureBlob', 'endpoint'],
      message: `must be https without credentials of its own: a bearer token is not sent to ${base}`,
    });
  return { account: azure.account, endpoint, credentials, caFile: azure.caFile };
}

function resolveBudget(file: PodFile, facts: Facts, mistakes: Problem[]): number {
  if (file.memory.budget !== undefined) return bytes(file.memory.budget);
  const budgetBytes = defaultBudget(facts.memory);
  if (!holdsChunks(file, budgetBytes, CHUNKS_IN_BUDGET)) {
    const limitBytes = memoryLimit(facts.memory);
    const source =
      limitBytes === undefined ? 'is not given' : `is half of the memory limit of ${formatQuantity(limitBytes)}`;
    mistakes.push({
      path: ['memory', 'budget'],
      message: `${source}: ${formatQuantity(budgetBytes)} must hold four of the largest chunks`,
    });
  }
  return budgetBytes;
}

/** The schema's rules have let only durations through. */
function ms(text: string): number {
  return parseDuration(text) ?? Number.NaN;
}

function bytes(value: string | number): number {
  return parseQuantity(value) ?? Number.NaN;
}
