/**
 * Resolves the validated file and the environment to a Config: units to numbers, credential references to sources, and
 * defaults that depend on other settings. Pure: facts about the process are passed in.
 */
import { resolveOriginSettings } from '#cache/origins/registry.ts';
import { resolveStoreSettings } from '#cache/stores/registry.ts';
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity, formatQuantity } from '#crds/quantity.ts';
import { budgetTooSmall, CHUNKS_IN_BUDGET, holdsChunks, largestChunkBytes } from '#crds/schema/behavior.ts';
import type { PodFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import { resolveCapacity } from './capacity.ts';
import type { Config, ListenAddress } from './config.ts';
import { formatAddress, parseAddress } from './listen-address.ts';
import { resolveLogLevel } from './log-level.ts';
import { defaultBudget, memoryLimit } from './memory-budget.ts';
import type { MemoryFacts } from './memory-budget.ts';
import { resolvePeers } from './peers.ts';
import { checkStaticPeers, checkWorkerPorts, resolveWorkers, type HostFacts } from './workers.ts';

export interface Facts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly memory: MemoryFacts;
  /** Default: one core of Linux. */
  readonly host?: HostFacts;
}

/** Appends to `problems`; the Config is valid only if no problem was appended. */
export function resolve(file: PodFile, hash: string, facts: Facts, problems: Problem[]): Config {
  const host = facts.host ?? { cores: 1, platform: 'linux' };
  const listen = resolveListen(file, host, problems);
  const budgetBytes = resolveBudget(file, facts, problems);
  const workers = resolveWorkers(file, host, budgetBytes, problems);
  checkWorkerPorts(listen, workers, problems);
  const peers = resolvePeers(file.peers, listen.peer, facts.env, problems);
  checkStaticPeers(peers, workers, problems);
  return {
    workers,
    listen,
    origin: resolveOrigin(file, facts, problems),
    cacheStore: resolveCacheStore(file, facts, problems),
    chunking: {
      sizeBytes: bytes(file.chunking.size),
      tiers: file.chunking.tiers.map((tier) => ({
        minObjectSizeBytes: bytes(tier.minObjectSize),
        chunkSizeBytes: bytes(tier.chunkSize),
      })),
      readahead: file.chunking.readahead,
    },
    metadata: {
      ttlMs: ms(file.metadata.ttl),
      negativeTtlMs: ms(file.metadata.negativeTTL),
      staleWhileRevalidateMs: ms(file.metadata.staleWhileRevalidate),
      staleIfErrorMs: ms(file.metadata.staleIfError),
      maxEntries: file.metadata.maxEntries,
    },
    catalog: { maxEntries: file.catalog.maxEntries },
    memory: { budgetBytes },
    peers,
    edge: resolveEdge(file),
    shutdown: {
      propagationDelayMs: ms(file.shutdown.propagationDelay),
      drainTimeoutMs: ms(file.shutdown.drainTimeout),
    },
    prewarms: file.prewarms,
    telemetry: file.telemetry,
    costs: file.costs && {
      egressPerGB: Number(file.costs.originEgressPerGB ?? 0),
      per1000Requests: Number(file.costs.originPer1000Requests ?? 0),
    },
    runtimeFile: file.runtimeFile,
    logLevel: resolveLogLevel(file.logLevel, facts.env, problems),
    logFormat: file.logFormat,
    hash,
  };
}

function resolveOrigin({ origin, metadata }: PodFile, facts: Facts, problems: Problem[]): Config['origin'] {
  return {
    id: origin.id,
    identity: origin.identity,
    type: origin.type,
    ...resolveOriginSettings(origin, { env: facts.env, problems }),
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
  };
}

function resolveCacheStore({ cacheStore }: PodFile, facts: Facts, problems: Problem[]): Config['cacheStore'] {
  return {
    type: cacheStore.type,
    ...resolveStoreSettings(cacheStore, { env: facts.env, problems }),
    verifyRanges: cacheStore.verifyRanges,
    limits: resolveCapacity(cacheStore),
  };
}

function resolveEdge({ edge }: PodFile): Config['edge'] {
  return {
    auth: resolveAuth(edge.auth),
    tlsDirectory: edge.tls?.directory,
    region: edge.region,
    virtualHostDomains: edge.virtualHostDomains,
    corsOrigins: edge.corsOrigins,
    listTtlMs: ms(edge.listTTL),
    maxConnections: edge.maxConnections,
    accessLog: edge.accessLog,
    ignoreClientCacheControl: edge.ignoreClientCacheControl,
    explain: edge.explain,
  };
}

/** The schema guarantees that `directory` is set exactly when `type` needs keys. */
function resolveAuth({ type, directory = '' }: PodFile['edge']['auth']): Config['edge']['auth'] {
  return type === 'Anonymous' ? { type } : { type, directory };
}

function resolveListen({ listen }: PodFile, { hasIpv6 = true }: HostFacts, problems: Problem[]): Config['listen'] {
  const taken = new Map<string, string>();
  const at = (name: 'edge' | 'peer' | 'ops'): ListenAddress => {
    const address = parseAddress(listen[name]);
    if (address === undefined) {
      problems.push({ path: ['listen', name], message: 'must have a port of at most 65535' });
      return { host: '', port: 0 };
    }
    // `::` also listens on all addresses of IPv4.
    const inIpv4 = address.host === '::' ? { ...address, host: '0.0.0.0' } : address;
    const key = formatAddress(inIpv4);
    const other = taken.get(key);
    if (other !== undefined && address.port !== 0)
      problems.push({ path: ['listen', name], message: `must differ from listen.${other}` });
    taken.set(key, name);
    return hasIpv6 ? address : inIpv4;
  };
  return { edge: at('edge'), peer: at('peer'), ops: at('ops') };
}

function resolveBudget(file: PodFile, facts: Facts, problems: Problem[]): number {
  if (file.memory.budget !== undefined) return bytes(file.memory.budget);
  const budgetBytes = defaultBudget(facts.memory);
  if (!holdsChunks(file, budgetBytes, CHUNKS_IN_BUDGET)) {
    const limitBytes = memoryLimit(facts.memory);
    const source =
      limitBytes === undefined ? 'the default' : `half of the memory limit of ${formatQuantity(limitBytes)}`;
    problems.push({
      path: ['memory', 'budget'],
      message: `${budgetTooSmall(largestChunkBytes(file.chunking))}, but is ${formatQuantity(budgetBytes)} (${source})`,
    });
  }
  return budgetBytes;
}

/** The schema guarantees a valid duration. */
function ms(text: string): number {
  return parseDuration(text) ?? Number.NaN;
}

function bytes(value: string | number): number {
  return parseQuantity(value) ?? Number.NaN;
}
