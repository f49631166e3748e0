/**
 * CacheStoreReady: whether the cachestore responds and accepts chunks. The reason classifies its conditional writes.
 */
import { CONDITION, REASON, type Reason } from '#crds/names.ts';
import type { CapacityReport, PodReport, StoreReport } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

const WEIGHT = {
  notProbed: 0,
  good: 1,
  overCapacity: 2,
  evictionDenied: 3,
  full: 4,
  incompatible: 5,
  unreachable: 6,
  hung: 7,
  conflict: 8,
} as const;

/** Every result is safe: where conditional writes are unreliable, a commit checks for the object before it writes. */
const CONDITION_REASON: Readonly<Record<string, Reason>> = {
  atomic: REASON.atomic,
  racy: REASON.racy,
  ignored: REASON.ignored,
  unsupported: REASON.unsupported,
  conflicting: REASON.conflicting,
};
/** The probe could not list or delete its object. Chunks are stored and read all the same. */
const MAINTENANCE_PROBLEMS: readonly string[] = ['list', 'delete'];

const EVICTION_DENIED =
  'chunks cannot be evicted: check that the credentials may list, read and delete objects in the cachestore';
const RECENT =
  'chunks that were read within the last hour are evicted: clients read more than the cachestore holds; raise ' +
  'spec.cacheStore.capacity';
const HOUR_MS = 3_600_000;
/** An eviction frees somewhat more than it has to. */
const FILLED_SHARE = 0.9;
const NOTHING_EVICTABLE = 'the remaining chunks are pinned, or younger than spec.cacheStore.minAge';
const ABOVE_WATERMARK = 'above the high watermark, and';
const NO_SPACE = 'no space left: stored chunks are read, new ones are not added';

export function cacheStoreReady({
  reports,
  cache,
}: Pick<StatusInput, 'reports'> & Partial<StatusInput>): ConditionValue {
  return aggregate(reports, (report) => evaluate(report, cache));
}

function evaluate(
  { store, identityConflict, capacity }: PodReport,
  cache: OrcaCache | undefined,
): PodConditionValue | undefined {
  if (identityConflict !== undefined) return failed(WEIGHT.conflict, REASON.identityConflict, identityConflict);
  if (store === undefined) return undefined;
  const { breaker, condition, message, hung } = store;
  if (breaker !== 'closed' && hung > 0)
    return failed(
      WEIGHT.hung,
      REASON.mountHung,
      'file operations on the volume do not return: reads go to the origin; check the volume and its file server',
    );
  if (breaker !== 'closed')
    return failed(
      WEIGHT.unreachable,
      REASON.unreachable,
      'circuit breaker open: requests to the cachestore keep failing; check the server and spec.cacheStore',
    );
  if (store.problems.some((problem) => !MAINTENANCE_PROBLEMS.includes(problem)))
    return failed(WEIGHT.incompatible, REASON.incompatible, message);
  const short = shortOfSpace(store, capacity);
  if (short !== undefined) return short;
  if (isStillTooSmall(capacity, cache)) return overCapacity('recent');
  const reason = CONDITION_REASON[condition];
  if (reason === undefined)
    return {
      weight: WEIGHT.notProbed,
      status: 'Unknown',
      reason: REASON.notProbed,
      message: 'conditional-write support has not been probed yet',
    };
  return { weight: WEIGHT.good, status: 'True', ...usable(store, reason) };
}

/** It ends when eviction has freed space, or when the limit, the permissions or the pins have changed. */
function shortOfSpace(store: StoreReport, capacity: CapacityReport | undefined): PodConditionValue | undefined {
  // A replica of an older release does not report it, and evicts nothing.
  if (capacity === undefined)
    return store.full
      ? failed(WEIGHT.full, REASON.full, `${NO_SPACE}; free space or enlarge the cachestore`)
      : undefined;
  const { state, blocked, evictionDenied } = capacity;
  const isDenied = evictionDenied !== '' || store.problems.some((problem) => MAINTENANCE_PROBLEMS.includes(problem));
  if (store.full || state === 'full')
    return failed(WEIGHT.full, REASON.full, `${NO_SPACE}${remedyOfFull(blocked, isDenied)}`);
  if (isDenied) return denied(state, evictionDenied);
  if (state === 'over_capacity' || blocked === 'recent') return overCapacity(blocked);
  return undefined;
}

/**
 * A store that is too small is at its low watermark after each eviction, and minutes later above the high one again. The
 * condition stays until something in the store was not read for an hour, instead of changing with each eviction.
 */
function isStillTooSmall(capacity: CapacityReport | undefined, cache: OrcaCache | undefined): boolean {
  const published = cache?.status?.conditions?.find(({ type }) => type === CONDITION.cacheStoreReady);
  if (cache === undefined || published?.message.startsWith(RECENT) !== true) return false;
  const { usedBytes, capacityBytes = Infinity, oldestReadMs, lastSweepMs } = capacity ?? { usedBytes: 0 };
  if (oldestReadMs === undefined || lastSweepMs === undefined) return false;
  const isFilled = usedBytes >= (capacityBytes * cache.spec.cacheStore.lowWatermark * FILLED_SHARE) / 100;
  return isFilled && lastSweepMs - oldestReadMs < HOUR_MS;
}

function remedyOfFull(blocked: string, isDenied: boolean): string {
  if (isDenied) return `; ${EVICTION_DENIED}`;
  if (blocked === 'nothing_evictable') return `; ${NOTHING_EVICTABLE}; enlarge the cachestore, or remove pins`;
  return ' until eviction has freed some; keep spec.cacheStore.capacity below the size of the store';
}

function denied(state: string, quote: string): PodConditionValue {
  const prefix = state === 'over_capacity' ? `${ABOVE_WATERMARK} ${EVICTION_DENIED}` : EVICTION_DENIED;
  return failed(WEIGHT.evictionDenied, REASON.evictionDenied, prefix, quote === '' ? '' : `: ${quote}`);
}

function overCapacity(blocked: string): PodConditionValue {
  const cause: Readonly<Record<string, string>> = {
    recent: RECENT,
    nothing_evictable: `${ABOVE_WATERMARK} ${NOTHING_EVICTABLE}; raise spec.cacheStore.capacity, or remove pins`,
  };
  const known = Object.hasOwn(cause, blocked) ? cause[blocked] : undefined;
  return failed(WEIGHT.overCapacity, REASON.overCapacity, known ?? `${ABOVE_WATERMARK} eviction does not help`);
}

function usable({ versioned, condition, message }: StoreReport, reason: Reason): { reason: Reason; message: string } {
  if (!versioned) return { reason, message };
  const both = `the bucket is versioned, so deleted chunks still take space; disable versioning or expire old versions; ${message}`;
  // The message has both remarks. The reason is Versioned only where the conditional writes need no remark.
  return { reason: condition === 'atomic' ? REASON.versioned : reason, message: both };
}

/** The prefix is the same on every probe; another pod may report the problem, or quote another answer. */
function failed(weight: number, reason: Reason, stablePrefix: string, quote = ''): PodConditionValue {
  return { weight, status: 'False', reason, message: `${stablePrefix}${quote}`, stablePrefix };
}
