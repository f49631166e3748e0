/** CacheStoreReady: whether the cachestore answers and takes chunks; the reason says what its conditional writes are worth. */
import { REASON, type Reason } from '#crds/names.ts';
import type { PodReport, StoreReport } from '#operator/api/observed.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';

const WEIGHT = { notProbed: 0, good: 1, full: 2, incompatible: 3, unreachable: 4, conflict: 5 } as const;

/** All of them are safe: where a condition can't be relied upon a commit looks first. */
const CONDITION_REASON: Readonly<Record<string, Reason>> = {
  atomic: REASON.atomic,
  racy: REASON.racy,
  ignored: REASON.ignored,
  unsupported: REASON.unsupported,
  conflicting: REASON.conflicting,
};
/** A note that could not be deleted only takes room. */
const HARMLESS_PROBLEM = 'delete';

export function cacheStoreReady({ reports }: Pick<StatusInput, 'reports'>): ConditionValue {
  return aggregate(reports, evaluate);
}

function evaluate({ store, identityConflict }: PodReport): PodConditionValue | undefined {
  if (identityConflict !== undefined)
    return bad(
      WEIGHT.conflict,
      REASON.identityConflict,
      `the origin id belongs to another origin there: `,
      identityConflict,
    );
  if (store === undefined) return undefined;
  const { breaker, full, condition, message } = store;
  if (breaker !== 'closed')
    return bad(WEIGHT.unreachable, REASON.unreachable, 'requests failed many times in a row: it is asked now and then');
  if (store.problems.some((problem) => problem !== HARMLESS_PROBLEM))
    return bad(WEIGHT.incompatible, REASON.incompatible, message);
  if (full) return bad(WEIGHT.full, REASON.full, 'it has no room: what is in it is read, and nothing is added');
  const reason = CONDITION_REASON[condition];
  if (reason === undefined)
    return {
      weight: WEIGHT.notProbed,
      status: 'Unknown',
      reason: REASON.notProbed,
      message: 'it is not known yet what its conditional writes are worth',
    };
  return { weight: WEIGHT.good, status: 'True', ...goodWords(store, reason) };
}

function goodWords(
  { versioned, condition, message }: StoreReport,
  reason: Reason,
): { reason: Reason; message: string } {
  if (!versioned) return { reason, message };
  const all = `the bucket is versioned: nothing is ever freed there; ${message}`;
  // Of two remarks the rarer one gives the reason; the message has both.
  return { reason: condition === 'atomic' ? REASON.versioned : reason, message: all };
}

function bad(weight: number, reason: Reason, about: string, more = ''): PodConditionValue {
  return { weight, status: 'False', reason, message: `${about}${more}`, about };
}
