/** The figures of the whole cachestore, as the accountant sees them. */
import { formatByBucket, parseByBucket, type BytesByBucket } from './bucket-names.ts';
import { fieldsOf, isArrayUpTo, isCount, isOptionalCount, isText } from './fields.ts';
import type { Histogram } from './histogram.ts';

export const ACCOUNT_STATES = [
  /** Not all shards have been reported yet. */
  'counting',
  'ok',
  'evicting',
  /** Above the high watermark, and nothing may be evicted. */
  'over_capacity',
  /** The store refuses chunks for lack of room. */
  'full',
] as const;
export type AccountState = (typeof ACCOUNT_STATES)[number];

export interface AgeClass {
  /** The class ends there, and begins where the one before it ends; null = no end. */
  readonly upToMinutes: number | null;
  readonly bytes: number;
}

export interface StoreAccount {
  readonly state: AccountState;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  readonly capacityBytes: number | undefined;
  /** What other caches have in the same store. */
  readonly foreignBytes: number;
  readonly byBucket: BytesByBucket;
  /** What may be evicted, by the time since the last read. */
  readonly byAge: readonly AgeClass[];
  /** The last read of the oldest chunk that may be evicted; undefined = no chunk may be evicted. */
  readonly oldestReadMinute: number | undefined;
  /** The end of the newest and of the oldest sweep of a shard; undefined = not all shards have been swept. */
  readonly lastSweepMs: number | undefined;
  readonly oldestSweepMs: number | undefined;
  readonly coveredShards: number;
  /** Why eviction cannot reach its goal: `nothing_evictable`, `recent`, or the store's refusal to list or delete. */
  readonly blocked?: string;
}

const HOUR = 60;
const DAY = 24 * HOUR;
/** What people ask for: what was read in the last hour, day, week, and what could go. */
const AGES_MINUTES = [10, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY] as const;
/** More than there are, for a later release. */
const MAX_AGES = 32;
const MAX_BLOCKED_LENGTH = 300;

export function ageClasses(histogram: Histogram, nowMinute: number): AgeClass[] {
  const bytes = AGES_MINUTES.map(() => 0);
  let olderBytes = 0;
  for (const { minute, provenBytes, onceBytes } of histogram.entries()) {
    const at = AGES_MINUTES.findIndex((limit) => nowMinute - minute < limit);
    if (at === -1) olderBytes += provenBytes + onceBytes;
    else bytes[at] = bytes[at]! + provenBytes + onceBytes;
  }
  return [
    ...AGES_MINUTES.map((upToMinutes, at) => ({ upToMinutes, bytes: bytes[at]! })),
    { upToMinutes: null, bytes: olderBytes },
  ];
}

/** For JSON. */
export function formatAccount(account: StoreAccount): Readonly<Record<string, unknown>> {
  const { byBucket, blocked, ...plain } = account;
  return {
    ...plain,
    ...(blocked !== undefined && { blocked: blocked.slice(0, MAX_BLOCKED_LENGTH).toWellFormed() }),
    byBucket: formatByBucket(byBucket),
  };
}

/** Undefined for anything that `formatAccount` does not return. */
export function parseAccount(value: unknown): StoreAccount | undefined {
  const fields = fieldsOf(value) ?? {};
  const { usedBytes, chunks, pinnedBytes, capacityBytes, foreignBytes, coveredShards, blocked } = fields;
  const { oldestReadMinute, lastSweepMs, oldestSweepMs } = fields;
  const state = ACCOUNT_STATES.find((known) => known === fields['state']);
  const byBucket = parseByBucket(fields['byBucket']);
  const byAge = parseAges(fields['byAge']);
  if (state === undefined || byBucket === undefined || byAge === undefined) return undefined;
  if (!isCount(usedBytes) || !isCount(chunks) || !isCount(pinnedBytes) || !isCount(foreignBytes)) return undefined;
  if (!isOptionalCount(capacityBytes) || !isOptionalCount(oldestReadMinute) || !isCount(coveredShards))
    return undefined;
  if (!isOptionalCount(lastSweepMs) || !isOptionalCount(oldestSweepMs)) return undefined;
  if (blocked !== undefined && !isText(blocked, MAX_BLOCKED_LENGTH)) return undefined;
  return {
    state,
    usedBytes,
    chunks,
    pinnedBytes,
    capacityBytes,
    foreignBytes,
    byBucket,
    byAge,
    oldestReadMinute,
    lastSweepMs,
    oldestSweepMs,
    coveredShards,
    ...(blocked !== undefined && { blocked }),
  };
}

function parseAges(value: unknown): AgeClass[] | undefined {
  if (!isArrayUpTo(value, MAX_AGES)) return undefined;
  const ages: AgeClass[] = [];
  for (const item of value) {
    const { upToMinutes, bytes } = fieldsOf(item) ?? {};
    if (!isCount(bytes) || !(upToMinutes === null || isCount(upToMinutes))) return undefined;
    ages.push({ upToMinutes, bytes });
  }
  return ages;
}
