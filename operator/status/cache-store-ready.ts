/**
 * CacheStoreReady: whether the cachestore responds and accepts chunks. The reason classifies its conditional writes.
 */
import { REASON, type Reason } from '#crds/names.ts';
import type { PodReport, StoreReport } from '#operator/api/observed.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

const WEIGHT = { notProbed: 0, good: 1, full: 2, incompatible: 3, unreachable: 4, hung: 5, conflict: 6 } as const;

/** Every result is safe: where conditional writes are unreliable, a commit checks for the object before it writes. */
const CONDITION_REASON: Readonly<Record<string, Reason>> = {
  atomic: REASON.atomic,
  racy: REASON.racy,
  ignored: REASON.ignored,
  unsupported: REASON.unsupported,
  conflicting: REASON.conflicting,
};
/** The probe could not delete its object. That wastes a few bytes and affects nothing else. */
const HARMLESS_PROBLEM = 'delete';

export function cacheStoreReady({ reports }: Pick<StatusInput, 'reports'>): ConditionValue {
  return aggregate(reports, evaluate);
}

function evaluate({ store, identityConflict }: PodReport): PodConditionValue | undefined {
  if (identityConflict !== undefined) return failed(WEIGHT.conflict, REASON.identityConflict, identityConflict);
  if (store === undefined) return undefined;
  const { breaker, full, condition, message, hung } = store;
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
  if (store.problems.some((problem) => problem !== HARMLESS_PROBLEM))
    return failed(WEIGHT.incompatible, REASON.incompatible, message);
  if (full)
    return failed(
      WEIGHT.full,
      REASON.full,
      'no space left: stored chunks are read, new ones are not added; free space or enlarge the cachestore',
    );
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

function usable({ versioned, condition, message }: StoreReport, reason: Reason): { reason: Reason; message: string } {
  if (!versioned) return { reason, message };
  const both = `the bucket is versioned, so deleted chunks still take space; disable versioning or expire old versions; ${message}`;
  // The message has both remarks. The reason is Versioned only where the conditional writes need no remark.
  return { reason: condition === 'atomic' ? REASON.versioned : reason, message: both };
}

function failed(weight: number, reason: Reason, message: string): PodConditionValue {
  // The message is the same on every probe, except that another pod may report the problem.
  return { weight, status: 'False', reason, message, stablePrefix: message };
}
