/** Cachestore and origin behind circuit breakers: no client waits for a service that is known to be down. */
import { hasCode, type OrcaError } from '#cache/core/errors.ts';
import type { ChunkStore, Clock, Origin } from '#cache/engine/ports.ts';
import { Breaker, type BreakerSettings } from './circuit-breaker.ts';

const INSUFFICIENT_STORAGE = 507;
/** Probed rarely: a probe is a client's read, which waits until the cachestore's timeout. */
const STORE: BreakerSettings = {
  failures: 10,
  windowMs: 30_000,
  probeEveryMs: 30_000,
  goodProbes: 3,
  forgivesOnSuccess: false,
  code: 'store_unavailable',
  name: 'the cachestore',
};
/**
 * One breaker per bucket: an outage of one account does not affect another. 4xx answers never count. Probed often, as
 * there is no other source.
 */
const ORIGIN: BreakerSettings = {
  failures: 10,
  windowMs: 30_000,
  probeEveryMs: 5_000,
  goodProbes: 3,
  forgivesOnSuccess: true,
  code: 'origin_unavailable',
  name: 'the origin',
};

export interface GuardedStore extends ChunkStore {
  readonly breaker: Breaker;
}

export function guardStore(store: ChunkStore, clock: Clock): GuardedStore {
  const breaker = new Breaker(STORE, clock);
  // A full disk takes no more writes, but can still be read.
  const isDown = (error: unknown) => hasCode(error, 'store_unavailable') && !isStoreFull(error);
  const guarded = <T>(call: () => Promise<T>) => breaker.run(isDown, call);
  return {
    breaker,
    get hung() {
      return store.hung;
    },
    read: (...args) => guarded(() => store.read(...args)),
    has: (...args) => guarded(() => store.has(...args)),
    commit: (...args) => guarded(() => store.commit(...args)),
    getSmall: (...args) => guarded(() => store.getSmall(...args)),
    putSmall: (...args) => guarded(() => store.putSmall(...args)),
    deleteSmall: (...args) => guarded(() => store.deleteSmall(...args)),
    close: () => store.close(),
  };
}

/** A write that failed because the store is full. */
export function isStoreFull({ status, cause }: OrcaError): boolean {
  if (status === INSUFFICIENT_STORAGE) return true;
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT');
}

export interface GuardedOrigin extends Origin {
  /** One for each bucket requested so far. */
  readonly breakers: ReadonlyMap<string, Breaker>;
}

export function guardOrigin(origin: Origin, clock: Clock): GuardedOrigin {
  // Only buckets of the allow-list come this far, so the table is bounded by it.
  const breakers = new Map<string, Breaker>();
  const guarded = <T>(bucket: string, call: () => Promise<T>) => {
    const breaker = breakers.get(bucket) ?? new Breaker({ ...ORIGIN, name: `the origin's bucket ${bucket}` }, clock);
    breakers.set(bucket, breaker);
    return breaker.run((error) => hasCode(error, 'origin_unavailable'), call);
  };
  return {
    breakers,
    head: (bucket, ...args) => guarded(bucket, () => origin.head(bucket, ...args)),
    read: (object, ...args) => guarded(object.bucket, () => origin.read(object, ...args)),
    part: (object, ...args) => guarded(object.bucket, () => origin.part(object, ...args)),
    checkOwner: (bucket, ...args) => guarded(bucket, () => origin.checkOwner(bucket, ...args)),
    list: (bucket, ...args) => guarded(bucket, () => origin.list(bucket, ...args)),
    subResource: (bucket, ...args) => guarded(bucket, () => origin.subResource(bucket, ...args)),
    listVersions: (bucket, ...args) => guarded(bucket, () => origin.listVersions(bucket, ...args)),
    // Readiness probes bypass the breaker: they are rare, and no client waits for them.
    probe: (...args) => origin.probe(...args),
    close: () => origin.close(),
  };
}
