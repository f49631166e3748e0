/** Prewarms in every state that the operator reports, each after the steps that lead to it, with the result of kstatus. */
import { REASON } from '#crds/names.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import type { Problem } from '#operator/prewarm/problem.ts';
import { step } from '#operator/prewarm/run.ts';
import { statusOf } from '#operator/prewarm/status.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { acceptedPrewarm, prewarmWith } from '#test/crds/prewarm-sample.ts';
import type { KstatusResult } from '#test/operator/status/states.ts';

/** 2026-05-01T12:00:00Z */
const CREATED_MS = Date.UTC(2026, 4, 1, 12);
const GIB = 2 ** 30;

/** A reconcile. */
interface Pass {
  readonly afterMs?: number;
  readonly spec?: Partial<OrcaPrewarm['spec']>;
  readonly report?: Partial<PrewarmReport>;
  readonly problem?: Problem;
}

const NO_CACHE: Problem = {
  reason: REASON.cacheNotFound,
  message: 'spec.cacheRef.name: OrcaCache ml/models not found; create it',
  mayAppear: true,
};

const NEW: OrcaPrewarm = (() => {
  const { spec, metadata, ...rest } = acceptedPrewarm(prewarmWith({}));
  return {
    ...rest,
    spec,
    metadata: {
      ...metadata,
      uid: 'c0ffee00-0000-4000-8000-000000000000',
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: new Date(CREATED_MS).toISOString(),
    },
  };
})();

function reportOf(fields: Partial<PrewarmReport>): PrewarmReport {
  return {
    uid: NEW.metadata.uid,
    name: NEW.metadata.name,
    run: 1,
    state: 'running',
    listed: true,
    objects: { total: 100, done: 62, failed: 0 },
    bytes: { total: 100 * GIB, done: 62 * GIB, fromOrigin: 60 * GIB, alreadyStored: 2 * GIB },
    bytesPerSecond: GIB,
    failures: [],
    pin: 'none',
    message: '',
    ...fields,
  };
}

/** The prewarm with the status after these reconciles, each of which sees the status of the one before. */
export function prewarmAfter(passes: readonly Pass[]): OrcaPrewarm {
  let prewarm = NEW;
  let nowMs = CREATED_MS;
  for (const { afterMs = 5000, spec = {}, report, problem } of passes) {
    nowMs += afterMs;
    prewarm = { ...prewarm, spec: { ...prewarm.spec, ...spec } };
    const given = { prewarm, problem, report: report === undefined ? undefined : reportOf(report), nowMs };
    const { status } = statusOf({ ...given, step: step(given), pods: 1 });
    prewarm = { ...prewarm, status };
  }
  // As from the API server: without members that are undefined.
  return JSON.parse(JSON.stringify(prewarm)) as OrcaPrewarm;
}

const STARTED: Pass = {};
const DONE: Pass = {
  report: {
    state: 'finished',
    objects: { total: 100, done: 100, failed: 0 },
    bytes: { total: 100 * GIB, done: 100 * GIB, fromOrigin: 98 * GIB, alreadyStored: 2 * GIB },
  },
};
const BROKEN: Pass = {
  report: {
    state: 'finished',
    objects: { total: 100, done: 99, failed: 1 },
    failures: [{ key: 'llama-3-70b/a.bin', reason: 'not_found' }],
  },
};
const SCHEDULED: Pass = { spec: { schedule: '0 2 * * *' } };
/** Until after the first start of the schedule. */
const NIGHT: Pass = { afterMs: 15 * 3_600_000 };

export const PREWARM_STATES: readonly (readonly [KstatusResult, string, readonly Pass[]])[] = [
  ['InProgress', 'a run has started', [STARTED]],
  ['InProgress', 'a run is in progress', [STARTED, { report: {} }]],
  ['InProgress', 'the origin does not answer', [STARTED, { report: { message: 'the origin is not available' } }]],
  ['Current', 'the run is complete', [STARTED, DONE]],
  ['Failed', 'an object failed', [STARTED, BROKEN]],
  ['Failed', 'the deadline has passed', [{ spec: { activeDeadlineSeconds: 60 } }, { afterMs: 60_000 }]],
  ['InProgress', 'the cache does not exist yet', [{ problem: NO_CACHE }]],
  [
    'Failed',
    'the cache does not exist after the grace period',
    [{ problem: NO_CACHE }, { afterMs: 60_000, problem: NO_CACHE }],
  ],
  ['InProgress', 'the run is suspended', [STARTED, { report: {} }, { spec: { suspend: true } }]],
  ['InProgress', 'the run is suspended from the start', [{ spec: { suspend: true } }]],
  ['InProgress', 'the run has resumed', [STARTED, { spec: { suspend: true } }, { spec: { suspend: false } }]],
  ['Current', 'the first scheduled run is not due yet', [SCHEDULED]],
  ['InProgress', 'a scheduled run is in progress', [SCHEDULED, NIGHT, { report: {} }]],
  ['Current', 'the last scheduled run is complete', [SCHEDULED, NIGHT, DONE]],
  ['InProgress', 'the last scheduled run has failed', [SCHEDULED, NIGHT, BROKEN]],
  ['Current', 'the schedule is suspended', [SCHEDULED, NIGHT, DONE, { spec: { suspend: true } }]],
];

export function prewarmIn(name: string): OrcaPrewarm {
  const passes = PREWARM_STATES.find(([, state]) => state === name)?.[2];
  if (passes === undefined) throw new Error(`unknown state: ${name}`);
  return prewarmAfter(passes);
}
