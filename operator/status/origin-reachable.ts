/** OriginReachable: whether the pods reach the origin's buckets. What is cached is served either way, so Ready does not look at it. */
import { REASON } from '#crds/names.ts';
import type { BucketReport, PodReport } from '#operator/api/observed.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';

const WEIGHT = { notProbed: 0, reachable: 1, listDenied: 2, unreachable: 3 } as const;

export function originReachable({ reports }: Pick<StatusInput, 'reports'>): ConditionValue {
  return aggregate(reports, evaluate);
}

function evaluate({ buckets, brokenBuckets }: PodReport): PodConditionValue | undefined {
  if (buckets === undefined) return undefined;
  const failed = buckets.filter(({ state }) => state === 'failed');
  if (failed.length > 0) {
    const about = `${names(failed)}: `;
    const [first] = failed;
    const message = `${about}${first?.message ?? ''}`;
    return { weight: WEIGHT.unreachable, status: 'False', reason: REASON.unreachable, message, about };
  }
  if (brokenBuckets.length > 0) {
    const about = `requests to ${brokenBuckets.toSorted().join(', ')} failed many times in a row`;
    return { weight: WEIGHT.unreachable, status: 'False', reason: REASON.unreachable, message: about, about };
  }
  const denied = buckets.filter(({ state }) => state === 'list_denied');
  if (denied.length > 0)
    return {
      weight: WEIGHT.listDenied,
      status: 'Unknown',
      reason: REASON.listDenied,
      message: `${names(denied)}: reachable, but it may not be told whether objects exist: give the credentials the right to list`,
    };
  if (buckets.some(({ state }) => state === 'reachable'))
    return {
      weight: WEIGHT.reachable,
      status: 'True',
      reason: REASON.reachable,
      message: 'every bucket answers',
    };
  return {
    weight: WEIGHT.notProbed,
    status: 'Unknown',
    reason: REASON.notProbed,
    message: 'the replicas have not asked yet',
  };
}

function names(buckets: readonly BucketReport[]): string {
  return `bucket ${buckets
    .map(({ name }) => name)
    .toSorted()
    .join(', ')}`;
}
