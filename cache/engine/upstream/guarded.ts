/** Cachestore and origin behind circuit breakers: no client waits for a service that is known to be down. */
import { hasCode, type OrcaError } from '#cache/core/errors.ts';
import type { ChunkStore, Clock, Origin } from '#cache/engine/ports.ts';
import { Breaker, type BreakerCall, type BreakerSettings } from './circuit-breaker.ts';
import { KeyBreakers } from './key-breakers.ts';

const INSUFFICIENT_STORAGE = 507;
/** Of file systems, and of S3 servers that answer 400, 403 or 500. Azure Blob has no such code. */
const FULL_CODES: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'InsufficientStorage',
  // Ceph, versitygw, Garage.
  'QuotaExceeded',
  // MinIO.
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
]);
/**
 * Half of the calls of half a minute, and ten at least: retries make up for fewer failures. Of three objects, as one or
 * two that always fail are no outage.
 */
const OUTAGE = { failures: 10, distinctKeys: 3, ratio: 1 / 2, windowMs: 30_000 };
/** Probed rarely: a probe is a client's read, which waits until the cachestore's timeout. */
const STORE: BreakerSettings = {
  ...OUTAGE,
  probeEveryMs: 30_000,
  goodProbes: 3,
  code: 'store_unavailable',
  name: 'the cachestore',
};
/**
 * One breaker per bucket: an outage of one account does not affect another. 4xx answers never count. Probed often, as
 * there is no other source.
 */
const ORIGIN: BreakerSettings = {
  ...OUTAGE,
  probeEveryMs: 5_000,
  goodProbes: 3,
  code: 'origin_unavailable',
  name: 'the origin',
};

/** As many as the allow-list can name. */
const MAX_BREAKERS = 1_000;

export interface GuardedStore extends ChunkStore {
  readonly breaker: Breaker;
}

export function guardStore(store: ChunkStore, clock: Clock): GuardedStore {
  const breaker = new Breaker(STORE, clock);
  // A full disk takes no more writes, but can still be read.
  const isDown = (error: unknown) => hasCode(error, 'store_unavailable') && !isStoreFull(error);
  const guarded = <T>(key: string, call: () => Promise<T>) => breaker.run({ key }, isDown, call);
  // Without the permission to list or delete, or where lists take long, chunks can be read and written all the same.
  // Nor does work that no client waits for find out whether a store has recovered.
  const uncounted = async <T>(call: () => Promise<T>): Promise<T> => {
    breaker.throwUnlessClosed();
    return call();
  };
  return {
    breaker,
    get hung() {
      return store.hung;
    },
    read: (chunk, ...args) => guarded(chunk.path, () => store.read(chunk, ...args)),
    has: (chunk, ...args) => guarded(chunk.path, () => store.has(chunk, ...args)),
    commit: (chunk, ...args) => guarded(chunk.path, () => store.commit(chunk, ...args)),
    getSmall: (name, ...args) => guarded(name, () => store.getSmall(name, ...args)),
    putSmall: (name, ...args) => guarded(name, () => store.putSmall(name, ...args)),
    deleteSmall: (name, ...args) => guarded(name, () => store.deleteSmall(name, ...args)),
    list: (...args) => uncounted(() => store.list(...args)),
    remove: (...args) => uncounted(() => store.remove(...args)),
    totalBytes: (...args) => uncounted(async () => store.totalBytes?.(...args)),
    close: () => store.close(),
  };
}

/** A write that failed because the store is full, or a quota is used up. */
export function isStoreFull({ status, cause }: OrcaError): boolean {
  if (status === INSUFFICIENT_STORAGE) return true;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && FULL_CODES.has(cause.code);
}

export interface GuardedOrigin extends Origin {
  /** One for each bucket requested so far. */
  readonly breakers: ReadonlyMap<string, Breaker>;
}

export function guardOrigin(origin: Origin, clock: Clock): GuardedOrigin {
  const breakers = new Map<string, Breaker>();
  const keys = new KeyBreakers(ORIGIN, clock);
  const isFailure = (error: unknown) => hasCode(error, 'origin_unavailable');
  const guarded = <T>(bucket: string, about: BreakerCall, call: () => Promise<T>) => {
    const breaker = breakers.get(bucket) ?? new Breaker({ ...ORIGIN, name: `the origin's bucket ${bucket}` }, clock);
    breakers.set(bucket, breaker);
    forgetOldest(breakers);
    return breaker.run(about, isFailure, () => keys.run(bucket, about, isFailure, call));
  };
  return {
    breakers,
    head: (bucket, key, ...args) => guarded(bucket, { key }, () => origin.head(bucket, key, ...args)),
    read: (object, range, sink, options) =>
      guarded(object.bucket, { key: object.key, continues: options.continues }, () =>
        origin.read(object, range, sink, options),
      ),
    part: (object, part, call) => guarded(object.bucket, { key: object.key }, () => origin.part(object, part, call)),
    checkOwner: (bucket, key, ...args) => guarded(bucket, { key }, () => origin.checkOwner(bucket, key, ...args)),
    list: (bucket, query, call) => guarded(bucket, listOf(query), () => origin.list(bucket, query, call)),
    subResource: (bucket, key, ...args) => guarded(bucket, { key }, () => origin.subResource(bucket, key, ...args)),
    listVersions: (bucket, query, call) =>
      guarded(bucket, listOf(query), () => origin.listVersions(bucket, query, call)),
    // Rare, and of no bucket.
    listBuckets: (...args) => origin.listBuckets(...args),
    // Readiness probes bypass the breaker: they are rare, and no client waits for them.
    probe: (...args) => origin.probe(...args),
    close: () => origin.close(),
  };
}

/** Each prefix counts as a key of its own. */
function listOf({ prefix }: { readonly prefix: string }): BreakerCall {
  return { key: `list ${prefix}` };
}

/** Under a pattern of the allow-list clients may name any number of buckets. A breaker that is not closed stays. */
function forgetOldest(breakers: Map<string, Breaker>): void {
  if (breakers.size <= MAX_BREAKERS) return;
  for (const [bucket, { state }] of breakers) {
    if (state !== 'closed') continue;
    breakers.delete(bucket);
    return;
  }
}
