/**
 * Whether this replica may take requests. A configuration that has proven itself waits only for its peers; one that is
 * new must first see its cachestore and every bucket, so that a wrong endpoint can't roll over a running cache.
 */
import { asOrcaError } from '#cache/core/errors.ts';
import type { BucketRule } from '#cache/engine/read.ts';
import type { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import type { ChunkStore, Clock, PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import type { Log } from '#shared/log.ts';
import type { OriginProbes } from './origin-probes.ts';

const PROBE_TIMEOUT_MS = 5_000;
/** Between tries of what did not answer: a store that comes up a moment later should not hold a rollout. */
const RETRY_MS = 2_000;
/** After that a replica starts without its cachestore. */
const STORE_PATIENCE_MS = 5_000;
const IDENTITY_POLL_MS = 50;
/** A name that no chunk has; whether it is there does not matter, only that the store can tell. */
const STORE_PROBE = '_orca/probe/reachable';

export interface ReadinessOptions {
  readonly probes: OriginProbes;
  readonly storeProbe: StoreProbe;
  readonly store: ChunkStore;
  readonly identity: OriginIdentity;
  readonly buckets: readonly BucketRule[];
  readonly peers: PeerView;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Whether this configuration has served before; asked again while it has not. */
  readonly isProven: () => boolean;
}

export interface Check {
  readonly ok: boolean;
  /** One line a person can act on. */
  readonly message: string;
}

export interface Readiness {
  /** By name, in the order they are made. */
  checks(): ReadonlyMap<string, Check>;
  isReady(): boolean;
  startDraining(): void;
}

export function watchReadiness(options: ReadinessOptions): Readiness {
  const checks = new Map<string, Check>();
  let ready = false;
  let draining = false;
  const run = async () => {
    checks.set('peers', { ok: false, message: 'waiting for the first list of peers' });
    await options.peers.ready();
    checks.set('peers', { ok: true, message: 'listed' });
    await Promise.all([until(options, checks), untilIdentified(options)]);
    ready = true;
    options.log.info('ready', { proven: options.isProven(), identity: options.identity.state });
    await Promise.all([options.probes.run(options.signal), options.storeProbe.run(options.signal)]);
  };
  run().catch((error: unknown) => {
    if (!options.signal.aborted) options.log.error('readiness ended', { error });
  });
  return {
    checks: () =>
      new Map([...checks, ['identity', identityCheck(options.identity)], ...storeChecks(options.storeProbe)]),
    isReady: () => ready && !draining && options.identity.state !== 'conflict',
    startDraining: () => (draining = true),
  };
}

/**
 * The origin's identity first; but a store that is away does not keep a cache from serving what it can fetch, without
 * commits, until it comes back.
 */
async function untilIdentified({ identity, clock, signal }: ReadinessOptions): Promise<void> {
  const untilMs = clock.now() + STORE_PATIENCE_MS;
  while (identity.state === 'unknown' && clock.now() < untilMs) await clock.sleep(IDENTITY_POLL_MS, signal);
}

function identityCheck(identity: OriginIdentity): Check {
  switch (identity.state) {
    case 'ours':
      return { ok: true, message: 'registered' };
    case 'unknown':
      return { ok: true, message: 'not known yet: nothing is committed' };
    case 'conflict':
      return { ok: false, message: identity.refusal()?.message ?? 'conflict' };
  }
}

/** What the store is like keeps nobody from being ready: they are told, not asked. */
function storeChecks(storeProbe: StoreProbe): [string, Check][] {
  const writes: [string, Check] = ['cachestore writes', { ok: true, message: storeProbe.describe() }];
  if (storeProbe.verdict?.versioned !== true) return [writes];
  return [writes, ['cachestore versioning', { ok: true, message: 'enabled: what is deleted there stays' }]];
}

/** Tries store and buckets until all are good, or the configuration turns out to be proven. */
async function until(options: ReadinessOptions, checks: Map<string, Check>): Promise<void> {
  while (!options.isProven()) {
    const results = await Promise.all([
      probeStore(options),
      ...options.buckets.map((rule) => probeBucket(options, rule)),
    ]);
    for (const [name, check] of results) {
      if (!check.ok && checks.get(name)?.message !== check.message)
        options.log.warn('not ready', { check: name, reason: check.message });
      checks.set(name, check);
    }
    if (results.every(([, check]) => check.ok)) return;
    await options.clock.sleep(RETRY_MS, options.signal);
  }
}

async function probeStore(options: ReadinessOptions): Promise<[string, Check]> {
  try {
    await options.store.getSmall(STORE_PROBE, timeLimit(options));
    return ['cachestore', { ok: true, message: 'answers' }];
  } catch (error) {
    return ['cachestore', failed(error)];
  }
}

async function probeBucket({ probes, signal }: ReadinessOptions, rule: BucketRule): Promise<[string, Check]> {
  const { state, message } = await probes.probe(rule, signal);
  return [`bucket ${rule.name}`, { ok: state !== 'failed', message: message === '' ? state : message }];
}

function timeLimit(options: ReadinessOptions) {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  return { signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS };
}

function failed(error: unknown): Check {
  const { code, message } = asOrcaError(error, 'internal', 'the probe failed');
  return { ok: false, message: `${code}: ${message}` };
}
