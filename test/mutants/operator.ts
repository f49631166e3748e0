import type { Mutant } from './mutants.ts';

const QUEUE = 'operator/control/work-queue.ts';
const LOCK = 'operator/control/lease-lock.ts';
const APPLY = 'operator/reconcile/apply.ts';
const UNACCEPTED = 'operator/reconcile/unaccepted-fields.ts';
const DIFF = 'operator/reconcile/diff.ts';
const USAGE = 'operator/status/cache-store-usage.ts';
const STORE_READY = 'operator/status/cache-store-ready.ts';

/** Bugs in the operator. */
export const OPERATOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'two workers may reconcile one cache at once',
    file: QUEUE,
    search: 'if (this.#active.has(key)) {',
    replace: 'if (this.#active.has("")) {',
  },
  {
    name: 'a change of a queued recheck stays a recheck',
    file: QUEUE,
    search: "if (urgency === 'changed' && sinceMs !== undefined) {",
    replace: "if (urgency === 'due' && sinceMs !== undefined) {",
  },
  {
    name: 'a later recheck replaces an earlier one',
    file: QUEUE,
    search: 'if (planned !== undefined && planned.dueMs <= dueMs) return;',
    replace: 'if (planned !== undefined && planned.dueMs < 0) return;',
  },
  {
    name: 'the backoff does not grow',
    file: QUEUE,
    search: 'this.#failures.set(key, failures + 1);',
    replace: 'this.#failures.set(key, failures);',
  },
  {
    name: 'rechecks are not rate-limited',
    file: QUEUE,
    search: 'if (isRecheck) this.#nextDueMs = nowMs + DUE_EVERY_MS;',
    replace: '',
  },
  {
    name: 'a change during a reconcile is dropped when it ends',
    file: QUEUE,
    search: 'this.#waiting[again.urgency].set(key, again.sinceMs);',
    replace: '',
  },
  {
    name: 'the hold counts from when the response arrived',
    file: LOCK,
    search: 'const sentAt = { monotonicMs: clock.now(), dateMs: clock.date() };',
    replace: 'const sentAt = { get monotonicMs() { return clock.now(); }, get dateMs() { return clock.date(); } };',
  },
  {
    name: 'the time of a suspended machine does not count',
    file: LOCK,
    search: 'Math.min(this.#heldUntil.monotonicMs - clock.now(), this.#heldUntil.dateMs - clock.date())',
    replace: 'this.#heldUntil.monotonicMs - clock.now()',
  },
  {
    name: 'a lease expires although its holder renews it',
    file: LOCK,
    search: 'if (record !== this.#seen) {',
    replace: "if (this.#seen === '') {",
  },
  {
    name: 'a release that failed is not reported',
    file: LOCK,
    search: 'if (!hasStatus(error, 404, 409)) throw error;\n    }\n  }',
    replace: '}\n  }',
  },
  {
    name: 'a renewal is repeated after a conflict',
    file: LOCK,
    search: 'this.#ours = undefined;\n      return false;',
    replace: 'return false;',
  },
  {
    name: 'the status update of the operator triggers a reconcile',
    file: 'operator/control/sources.ts',
    search: "if (type === 'MODIFIED' && before?.version === now.version) return;",
    replace: '',
  },
  {
    name: 'a deletion between two lists is not noticed',
    file: 'operator/control/sources.ts',
    search: 'for (const [uid, { keys }] of before) if (!seen.has(uid)) add(keys);',
    replace: '',
  },
  {
    name: 'a change of owner reconciles only the new one',
    file: 'operator/control/sources.ts',
    search: 'if (before !== undefined) add(before.keys);',
    replace: '',
  },
  {
    name: 'a write conflict is logged as an error',
    file: 'operator/control/controller.ts',
    search: 'if (hasStatus(error, 409)) log.debug',
    replace: 'if (hasStatus(error, 499)) log.debug',
  },
  {
    name: 'the backoff is not reset by a success',
    file: 'operator/control/controller.ts',
    search: 'queue.forget(key);',
    replace: '',
  },
  {
    name: 'a Secret is overwritten by each reconcile',
    file: APPLY,
    search: "if (write === 'once' || isAsDesired(manifest, live, unaccepted))",
    replace: 'if (isAsDesired(manifest, live, unaccepted))',
    tests: ['test/operator/reconcile/'],
  },
  {
    name: 'an object of another owner is taken over',
    file: APPLY,
    search: "if (claim === 'foreign') return { kind: 'conflict', transient: false };",
    replace: '',
  },
  {
    name: 'an object that is being deleted is applied',
    file: APPLY,
    search: "if (claim === 'predecessor' || live.metadata.deletionTimestamp !== undefined)",
    replace: "if (claim === 'predecessor')",
  },
  {
    name: 'fields that the operator no longer sets are kept',
    file: APPLY,
    search: 'live.metadata.annotations?.[APPLIED] === digest(manifest) &&',
    replace: '',
  },
  {
    name: 'a patch may create an object that was deleted meanwhile',
    file: APPLY,
    search: 'body: { ...body, metadata: { ...body.metadata, uid: live.metadata.uid } },',
    replace: 'body,',
  },
  {
    name: 'a field that was not accepted hides the drift of others',
    file: UNACCEPTED,
    search: 'found.every((difference) => last.differences.has(nameOf(difference)))',
    replace: 'found.some((difference) => last.differences.has(nameOf(difference)))',
  },
  {
    name: 'a field that was not accepted is never applied again',
    file: UNACCEPTED,
    search: 'clock.now() - last.atMs < APPLY_AGAIN_MS &&',
    replace: '',
  },
  {
    name: 'a field that was not accepted is applied in each pass',
    file: UNACCEPTED,
    search: 'last !== undefined &&',
    replace: 'last === undefined &&',
  },
  {
    name: 'an extra entry of a selector is not a difference',
    file: DIFF,
    search: "(ATOMIC_MAPS.has(path.at(-1) ?? '') && Object.keys(live).length !== Object.keys(desired).length)",
    replace: 'path.length < 0',
  },
  {
    name: 'quantities are compared as text',
    file: DIFF,
    search: 'return leftValue !== undefined && leftValue === parseResource(right);',
    replace: 'return left === right && leftValue !== undefined;',
  },
  {
    name: 'an extra item of a plain list is not a difference',
    file: DIFF,
    search: 'if (live.length !== desired.length) return yield at(path, live);',
    replace: '',
  },
  {
    name: 'the message of a rejected Secret may quote its content',
    file: 'operator/reconcile/apply-children.ts',
    search: "kind === 'Secret' ? error.reason : error.message",
    replace: 'error.message',
  },
  {
    name: 'a forbidden child is a permanent failure',
    file: 'operator/reconcile/apply-children.ts',
    search: 'permanent: error.status !== 403',
    replace: 'permanent: true',
  },
  {
    name: 'a failure of events fails the reconcile',
    file: 'operator/reconcile/emit-events.ts',
    search: "api.log.warn('failed to write an event', { reason, error });",
    replace: 'throw error;',
  },
  {
    name: 'a lost pod after a complete rollout is a rollout',
    file: 'operator/status/rollout.ts',
    search: "readyReplicas < desiredReplicas && progress?.reason !== 'NewReplicaSetAvailable'",
    replace: 'readyReplicas < desiredReplicas',
  },
  {
    name: 'an outdated Deployment status counts',
    file: 'operator/status/rollout.ts',
    search: 'if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0))',
    replace: 'if ((status.observedGeneration ?? 0) < 0)',
  },
  {
    name: 'the transition time changes with the message',
    file: 'operator/status/merge-conditions.ts',
    search: 'last?.status === status ? last.lastTransitionTime',
    replace: 'last?.message === value.message ? last.lastTransitionTime',
  },
  {
    name: 'conditions of other writers are dropped',
    file: 'operator/status/merge-conditions.ts',
    search: 'return [...ours, ...published.filter(({ type }) => !values.some((value) => value.type === type))];',
    replace: 'return ours;',
  },
  {
    name: 'a Secret that is deleted after the rollout makes the cache unready',
    file: 'operator/status/ready.ts',
    search: 'if (upToDate) break;',
    replace: '',
  },
  {
    name: 'the figures of the cachestore are written with every report',
    file: USAGE,
    search: 'if (nowMs - updatedMs < MIN_INTERVAL_MS) return false;',
    replace: '',
  },
  {
    name: 'an incomplete account replaces the figures of the cachestore',
    file: USAGE,
    search: "capacity === undefined || capacity.state === 'counting' ? []",
    replace: 'capacity === undefined ? []',
  },
  {
    name: 'a figure of the cachestore that disappears stays in the status',
    file: 'operator/reconcile/patch-status.ts',
    search: 'removed.map((key) => [key, null])',
    replace: 'removed.slice(0, 0).map((key) => [key, null])',
  },
  {
    name: 'a cachestore that is too small is reported as good after each eviction',
    file: STORE_READY,
    search: "if (isStillTooSmall(capacity, cache)) return overCapacity('recent');",
    replace: '',
  },
];
