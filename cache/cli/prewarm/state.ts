/** What an OrcaPrewarm says about itself. The operator may be older or newer: what is absent is not known. */
import {
  countAt,
  fieldsAt,
  flagAt,
  isFields,
  itemsAt,
  numberAt,
  textAt,
  type Fields,
} from '#cache/cli/replies/fields.ts';
import { BY_PIN, CREATED_BY } from './manifest.ts';

export type Phase = 'Pending' | 'Running' | 'Suspended' | 'Complete' | 'Failed' | 'Stalled' | 'Scheduled';

export interface PrewarmState {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly cache: string;
  readonly phase: Phase;
  /** False: the operator has not looked at it yet. */
  readonly isSeen: boolean;
  /** It runs again and again. */
  readonly isScheduled: boolean;
  readonly runs: number;
  /** The totals are final. */
  readonly isListed: boolean;
  readonly objects: { readonly total: number; readonly done: number; readonly failed: number };
  readonly bytes: {
    readonly total: number;
    readonly done: number;
    readonly fromOrigin: number;
    readonly alreadyStored: number;
  };
  /** `498Mi/s`; empty = not running. */
  readonly rate: string;
  /** Undefined = not known. */
  readonly startMs: number | undefined;
  readonly completionMs: number | undefined;
  readonly estimatedMs: number | undefined;
  readonly nextRunMs: number | undefined;
  readonly failures: readonly { readonly key: string; readonly reason: string }[];
  readonly pin: string;
  /** Why it is in its phase, or makes no progress; empty = nothing to say. */
  readonly message: string;
}

const PHASES: readonly Phase[] = ['Pending', 'Running', 'Suspended', 'Complete', 'Failed', 'Stalled', 'Scheduled'];
/** The condition whose message explains the phase. */
const CONDITION_OF: Readonly<Partial<Record<Phase, string>>> = {
  Suspended: 'Suspended',
  Failed: 'Failed',
  Stalled: 'Stalled',
  Complete: 'Complete',
};

export function stateOf(prewarm: Fields): PrewarmState {
  const status = fieldsAt(prewarm, 'status');
  const text = textAt(status, 'state');
  const phase = PHASES.find((each) => each === text) ?? 'Pending';
  const dateAt = (name: string): number | undefined => {
    const ms = Date.parse(textAt(status, name));
    return Number.isNaN(ms) ? undefined : ms;
  };
  return {
    name: textAt(prewarm, 'metadata', 'name'),
    namespace: textAt(prewarm, 'metadata', 'namespace'),
    uid: textAt(prewarm, 'metadata', 'uid'),
    cache: textAt(prewarm, 'spec', 'cacheRef', 'name'),
    phase,
    isSeen: (numberAt(status, 'observedGeneration') ?? -1) > 0,
    isScheduled: textAt(prewarm, 'spec', 'schedule') !== '',
    runs: countAt(status, 'runs'),
    isListed: flagAt(status, 'listed'),
    objects: countsAt(status, 'objects', ['total', 'done', 'failed']),
    bytes: countsAt(status, 'bytes', ['total', 'done', 'fromOrigin', 'alreadyStored']),
    rate: textAt(status, 'rate'),
    startMs: dateAt('startTime'),
    completionMs: dateAt('completionTime'),
    estimatedMs: dateAt('estimatedCompletionTime'),
    nextRunMs: dateAt('nextRunTime'),
    failures: itemsAt(status, 'failures').map((item) => ({ key: textAt(item, 'key'), reason: textAt(item, 'reason') })),
    pin: textAt(status, 'pin'),
    message: messageOf(status, CONDITION_OF[phase] ?? 'Reconciling'),
  };
}

/** For scripts: stable names, in the units of the resource. */
export function jsonOf(state: PrewarmState) {
  const date = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
  const { name, namespace, cache, phase, runs, isListed, objects, bytes, failures, message } = state;
  return {
    name,
    namespace,
    cache,
    state: phase,
    runs,
    listed: isListed,
    objects,
    bytes,
    startTime: date(state.startMs),
    completionTime: date(state.completionMs),
    pin: state.pin === '' ? null : state.pin,
    failures,
    message,
  };
}

function messageOf(status: Fields, type: string): string {
  const condition = itemsAt(status, 'conditions').find((each) => each['type'] === type && each['status'] === 'True');
  return textAt(condition, 'message');
}

function countsAt<Name extends string>(status: Fields, field: string, names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, countAt(status, field, name)])) as Record<Name, number>;
}

/** Whether it pins what it stores. */
export function isPin(prewarm: Fields): boolean {
  return isFields(prewarm['spec']) && isFields(prewarm['spec']['pin']);
}

/** Whether `kubectl orca pin` has created it. */
export function isMadeByPin(prewarm: Fields): boolean {
  return textAt(prewarm, 'metadata', 'labels', CREATED_BY) === BY_PIN;
}
