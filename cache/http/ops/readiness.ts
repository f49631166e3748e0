/**
 * Readiness. A proven configuration waits only for its peers. A new one must first reach its cachestore and every
 * bucket, so that a wrong endpoint can't be rolled out over a running cache. A pod without an operator does not know
 * whether its configuration has worked: it starts while the origin does not answer, so that it can restart in an outage,
 * but not while the origin refuses every bucket.
 */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import type { ChunkStore, Clock, HungCalls, PeerView } from '#cache/engine/ports.ts';
import type { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import type { Log } from '#shared/log.ts';
import type { BucketProbe, OriginProbes } from './origin-probes.ts';

const PROBE_TIMEOUT_MS = 5_000;
/** Between attempts: a store that comes up a moment later must not delay a rollout. */
const RETRY_MS = 2_000;
/** How long a replica waits for the identity in its cachestore before it starts without it. */
const STORE_WAIT_MS = 5_000;
const IDENTITY_POLL_MS = 50;
/** No chunk has this name. Whether it exists does not matter, only that the store answers. */
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
  /** Whether this configuration has served before; polled until it has. Undefined without an operator. */
  readonly isProven: (() => boolean) | undefined;
}

export interface Check {
  readonly ok: boolean;
  /** One actionable line. */
  readonly message: string;
}

export interface Readiness {
  /** By name, in the order of the checks. */
  checks(): ReadonlyMap<string, Check>;
  isReady(): boolean;
  /** Resolves when it has been ready once. Pending if the process stops before. */
  readonly untilReady: Promise<void>;
  startDraining(): void;
}

export function watchReadiness(options: ReadinessOptions): Readiness {
  const checks = new Map<string, Check>();
  let ready = false;
  let draining = false;
  const first = Promise.withResolvers<void>();
  const run = async () => {
    checks.set('peers', { ok: false, message: 'waiting for the first list of peers' });
    await options.peers.ready();
    checks.set('peers', { ok: true, message: 'listed' });
    await Promise.all([reachable(options, checks), identified(options)]);
    ready = true;
    first.resolve();
    options.log.info('ready', { proven: options.isProven?.(), identity: options.identity.state });
    await Promise.all([options.probes.run(options.signal), options.storeProbe.run(options.signal)]);
  };
  run().catch((error: unknown) => {
    if (!options.signal.aborted) options.log.error('readiness: probing ended unexpectedly', { error });
  });
  return {
    checks: () =>
      new Map([
        ...checks,
        ...bucketChecks(options.probes),
        ['identity', identityCheck(options.identity)],
        ...storeChecks(options.storeProbe),
        ...hungChecks(options.store.hung),
      ]),
    untilReady: first.promise,
    isReady: () => ready && !draining && options.identity.state !== 'conflict',
    startDraining: () => (draining = true),
  };
}

/**
 * Waits for the origin's identity, but not long: while the store is unavailable the cache serves what it can fetch,
 * without commits.
 */
async function identified({ identity, clock, signal }: ReadinessOptions): Promise<void> {
  const untilMs = clock.now() + STORE_WAIT_MS;
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

/** Informational: the store's capabilities do not affect readiness. */
function storeChecks(storeProbe: StoreProbe): [string, Check][] {
  const writes: [string, Check] = ['cachestore writes', { ok: true, message: storeProbe.describe() }];
  if (storeProbe.verdict?.versioned !== true) return [writes];
  return [
    writes,
    ['cachestore versioning', { ok: true, message: 'enabled: deleted and replaced chunks are kept, and paid for' }],
  ];
}

/** Informational: meanwhile reads go to the origin. */
function hungChecks(hung: HungCalls | undefined): [string, Check][] {
  if (hung === undefined || hung.count === 0) return [];
  const { count, longestMs, lentBytes } = hung;
  const since = `${count} file operations have not returned, the oldest for ${Math.round(longestMs / 1000)} s`;
  const remedy = 'check the volume and its file server; meanwhile reads go to the origin';
  return [['cachestore files', { ok: true, message: `${since}; they hold ${lentBytes} bytes of memory; ${remedy}` }]];
}

/** The last result of every bucket's probe; nothing is known about a bucket that has not been probed. */
function bucketChecks(probes: OriginProbes): [string, Check][] {
  return [...probes.results()].flatMap(([bucket, result]): [string, Check][] =>
    result.state === 'unknown' ? [] : [bucketCheck(bucket, result)],
  );
}

function bucketCheck(bucket: string, { state, message }: BucketProbe): [string, Check] {
  return [`bucket ${bucket}`, { ok: state !== 'failed', message: message === '' ? state : message }];
}

/** Probes store and buckets until all succeed, or the configuration is proven. */
async function reachable(options: ReadinessOptions, checks: Map<string, Check>): Promise<void> {
  const { isProven, probes, buckets, clock, signal } = options;
  if (isProven === undefined) return notRefused(options, checks);
  while (!isProven()) {
    const results = await Promise.all([
      probeStore(options),
      ...buckets.map(async (rule) => bucketCheck(rule.name, await probes.probe(rule, signal))),
    ]);
    for (const [name, check] of results) record(options, checks, name, check);
    if (results.every(([, check]) => check.ok)) return;
    await clock.sleep(RETRY_MS, signal);
  }
}

/**
 * Probes the buckets while the origin refuses all of them. One that is readable is enough: a single bucket that is
 * refused affects only itself. Without any answer in time the pod starts.
 */
async function notRefused(options: ReadinessOptions, checks: Map<string, Check>): Promise<void> {
  const { probes, buckets, clock, signal } = options;
  for (;;) {
    const results: BucketProbe[] = [];
    const readable = Promise.withResolvers<void>();
    const probing = buckets.map(async (rule) => {
      const result = await probes.probe(rule, signal);
      results.push(result);
      record(options, checks, ...bucketCheck(rule.name, result));
      if (result.isRefused !== true) readable.resolve();
    });
    await Promise.race([readable.promise, Promise.all(probing), clock.sleep(PROBE_TIMEOUT_MS, signal)]);
    if (!(results.length > 0 && results.every(({ isRefused }) => isRefused === true))) return;
    await clock.sleep(RETRY_MS, signal);
  }
}

/** Logs a check that fails, once for each reason. */
function record({ log, isProven }: ReadinessOptions, checks: Map<string, Check>, name: string, check: Check): void {
  if (!check.ok && checks.get(name)?.message !== check.message)
    log.warn(isProven === undefined ? 'the origin cannot be read' : 'not ready', {
      check: name,
      reason: check.message,
    });
  checks.set(name, check);
}

async function probeStore({ store, clock, signal: parent }: ReadinessOptions): Promise<[string, Check]> {
  const late = () => new OrcaError('store_unavailable', `no answer within ${PROBE_TIMEOUT_MS} ms`);
  try {
    await withDeadline(clock, PROBE_TIMEOUT_MS, late, parent, (signal) =>
      abortable(store.getSmall(STORE_PROBE, { signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS }), signal),
    );
    return ['cachestore', { ok: true, message: 'answers' }];
  } catch (error) {
    return ['cachestore', failed(error)];
  }
}

function failed(error: unknown): Check {
  const { code, message } = asOrcaError(error, 'internal', 'the probe failed');
  return { ok: false, message: `${code}: ${message}` };
}
