/**
 * OriginReachable: whether the pods reach the origin's buckets. Cached data is served either way, so Ready ignores it.
 */
import { REASON } from '#crds/names.ts';
import type { BucketReport, PodReport } from '#operator/api/observed.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

/** The message of a condition has at most 32 KiB, and people read it. */
const MAX_NAMES = 10;
const WEIGHT = { notProbed: 0, reachable: 1, listDenied: 2, unreachable: 3 } as const;

export function originReachable({ reports }: Pick<StatusInput, 'reports'>): ConditionValue {
  return aggregate(reports, evaluate);
}

function evaluate({ buckets, brokenBuckets }: PodReport): PodConditionValue | undefined {
  if (buckets === undefined) return undefined;
  const failed = buckets.filter(({ state }) => state === 'failed');
  if (failed.length > 0) return unreachable(`${names(failed)}: `, failed[0]?.message);
  if (brokenBuckets.length > 0)
    return unreachable(
      `circuit breaker open for ${list(brokenBuckets)}: requests to the origin keep failing; check the server and spec.origin`,
    );
  const denied = buckets.filter(({ state }) => state === 'list_denied');
  if (denied.length > 0)
    return {
      weight: WEIGHT.listDenied,
      status: 'Unknown',
      reason: REASON.listDenied,
      message: `${names(denied)}: listing is denied, so a missing object looks like a forbidden one; grant the credentials permission to list`,
    };
  if (buckets.some(({ state }) => state === 'reachable'))
    return {
      weight: WEIGHT.reachable,
      status: 'True',
      reason: REASON.reachable,
      message: 'every probed bucket responds',
    };
  return {
    weight: WEIGHT.notProbed,
    status: 'Unknown',
    reason: REASON.notProbed,
    message: 'no replica has probed the origin yet',
  };
}

function unreachable(stablePrefix: string, quote = ''): PodConditionValue {
  const message = `${stablePrefix}${quote}`;
  return { weight: WEIGHT.unreachable, status: 'False', reason: REASON.unreachable, message, stablePrefix };
}

function names(buckets: readonly BucketReport[]): string {
  return list(buckets.map(({ name }) => name));
}

function list(names: readonly string[]): string {
  const sorted = names.toSorted();
  const more = sorted.length > MAX_NAMES ? ` and ${sorted.length - MAX_NAMES} more` : '';
  return `${names.length === 1 ? 'bucket' : 'buckets'} ${sorted.slice(0, MAX_NAMES).join(', ')}${more}`;
}
