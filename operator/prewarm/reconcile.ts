/**
 * Reconciles one OrcaPrewarm: find what keeps it from running → start, follow or end its run → update the status. The
 * replicas of the cache see an active run in the status and do it; the operator moves no bytes.
 */
import { API_VERSION, PLURAL, PREWARM, REASON } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { Condition, OrcaCache } from '#operator/api/orca-cache.ts';
import type { OrcaPrewarm, OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { emitEvents } from '#operator/reconcile/emit-events.ts';
import type { Outcome } from '#operator/reconcile/outcome.ts';
import { patchStatus } from '#operator/reconcile/patch-status.ts';
import type { Clock } from '#shared/clock.ts';
import { prewarmPath } from './collections.ts';
import type { Phase } from './conditions.ts';
import { eventsOf } from './events.ts';
import { expiryMs } from './expiry.ts';
import { grantKeys } from './grant-keys.ts';
import { openProgressPace, type ProgressPace } from './pace.ts';
import type { PodPrewarms, RunReports } from './pod-prewarms.ts';
import { findProblem, type Problem } from './problem.ts';
import { isOver, step, type Step } from './run.ts';
import { graceLeftMs, statusOf } from './status.ts';

export interface PrewarmReconcilerOptions {
  readonly clock: Clock;
  /** The operator pod that events name as their reporter. */
  readonly instance: string;
  readonly podPrewarms: PodPrewarms;
  /** Called in each pass with the computed conditions, and with undefined when the prewarm is deleted. */
  readonly onConditions: (key: string, conditions: readonly Condition[] | undefined) => void;
}

/** One pass over one prewarm. */
interface Pass {
  readonly options: PrewarmReconcilerOptions;
  readonly pace: ProgressPace;
  readonly api: Api;
  readonly key: string;
  readonly prewarm: OrcaPrewarm;
}

interface Observed {
  readonly problem: Problem | undefined;
  readonly reports: RunReports;
}

/** While it runs. Each status then has new figures. */
const STATUS_INTERVAL_MS = 5000;
/** A run of a few objects ends within seconds, and gated pods may wait for it. */
const YOUNG_RUN_MS = 15_000;
const YOUNG_RECHECK_MS = 1000;
/** A suspended run has stopped within seconds; then only its last figures may still come. */
const SUSPENDED_RECHECK_MS = 30_000;
/** Caches and ConfigMaps are not watched. In the grace period they are expected any moment. */
const MISSING_RECHECK_MS = 2000;
const PROBLEM_RECHECK_MS = 15_000;
/** Timers of several weeks would overflow; and the clock may be set. */
const MAX_RECHECK_MS = 3_600_000;

export function openPrewarmReconciler(options: PrewarmReconcilerOptions) {
  const pace = openProgressPace(options.clock, STATUS_INTERVAL_MS);
  return async (api: Api, key: string): Promise<Outcome> => {
    const [namespace = '', name = ''] = key.split('/');
    const prewarm = await api.find<OrcaPrewarm>(prewarmPath(namespace, name));
    if (prewarm === undefined || prewarm.metadata.deletionTimestamp !== undefined) {
      // The replicas stop the run and drop its pin; garbage collection deletes the Role.
      pace.forget(key);
      options.onConditions(key, undefined);
      return { kind: 'done' };
    }
    return runPass({ options, pace, api, key, prewarm });
  };
}

async function runPass(pass: Pass): Promise<Outcome> {
  const { options, api, key, prewarm, pace } = pass;
  const { problem, reports } = await observe(pass);
  const nowMs = options.clock.date();
  const next = step({ prewarm, problem, report: reports.report, nowMs });
  const computed = statusOf({ prewarm, step: next, problem, ...reports, nowMs });
  const { phase } = computed;
  const status = pace.limit(key, prewarm.status, computed.status);
  options.onConditions(key, status.conditions);
  const { namespace, name } = prewarm.metadata;
  const isChanged = await patchStatus(api, prewarmPath(namespace, name), prewarm, status);
  if (isChanged) {
    pace.written(key);
    const events = eventsOf(prewarm, status, next, reports.report?.message ?? '');
    for (const { reason, message } of events) api.log.info('event', { reason, event: message });
    await emitEvents(
      api,
      { apiVersion: API_VERSION, kind: PREWARM.kind, metadata: prewarm.metadata },
      events,
      options.instance,
      options.clock,
    );
  }
  return phase.kind === 'over' ? expire(pass, status, isChanged) : outcomeOf(pass, phase, next, problem);
}

async function observe({ options, api, prewarm }: Pass): Promise<Observed> {
  const reports: RunReports = { pods: 0, report: undefined };
  if (isOver(prewarm)) return { problem: undefined, reports };
  const { metadata, spec, status } = prewarm;
  const cache = await api.find<OrcaCache>(
    `${collectionPath(API_VERSION, PLURAL, metadata.namespace)}/${spec.cacheRef.name}`,
  );
  const problem = (await findProblem(api, prewarm, cache)) ?? (cache && (await grantKeys(api, prewarm, cache)));
  const activeRun = status?.activeRun;
  if (cache === undefined || activeRun === undefined) return { problem, reports };
  return { problem, reports: await options.podPrewarms.find(api, cache, metadata.uid, activeRun) };
}

function outcomeOf(
  { prewarm, options }: Pass,
  phase: Phase,
  { run, nextRunMs }: Step,
  problem: Problem | undefined,
): Outcome {
  const requeue = (afterMs: number): Outcome => ({ kind: 'requeue', afterMs, reason: phase.kind });
  const nowMs = options.clock.date();
  switch (phase.kind) {
    case 'running': {
      const isYoung = nowMs - Date.parse(run.startTime ?? '') < YOUNG_RUN_MS;
      return requeue(isYoung ? YOUNG_RECHECK_MS : STATUS_INTERVAL_MS);
    }
    case 'suspended':
      return phase.isOpen && prewarm.status?.activeRun !== undefined ? requeue(SUSPENDED_RECHECK_MS) : { kind: 'done' };
    case 'blocked': {
      // The watch reports a change of the spec, and nothing else can help.
      if (phase.problem.reason === REASON.invalidSchedule)
        return { kind: 'stalled', reason: phase.problem.reason, message: phase.problem.message };
      const leftMs = problem === undefined ? 0 : graceLeftMs(prewarm, problem, nowMs);
      return requeue(leftMs > 0 ? Math.min(leftMs, MISSING_RECHECK_MS) : PROBLEM_RECHECK_MS);
    }
    case 'scheduled':
      return requeue(clamp((nextRunMs ?? nowMs) - nowMs));
    case 'over':
      return { kind: 'done' };
  }
}

/** Deletes a finished prewarm when its time has come. The preconditions spare one that was changed or created again. */
async function expire(pass: Pass, status: OrcaPrewarmStatus, isChanged: boolean): Promise<Outcome> {
  const { api, options, prewarm } = pass;
  const { namespace, name, uid, resourceVersion } = prewarm.metadata;
  const expiresMs = expiryMs({ ...prewarm, status });
  if (expiresMs === undefined) return { kind: 'done' };
  const leftMs = expiresMs - options.clock.date();
  // After a patch the resource version is another one.
  if (leftMs > 0 || isChanged) return { kind: 'requeue', afterMs: clamp(leftMs), reason: 'Expires' };
  api.log.info('deleting a finished prewarm', { ttlSeconds: prewarm.spec.ttlSecondsAfterFinished });
  await api.write('DELETE', prewarmPath(namespace, name), {
    body: { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background' },
  });
  return { kind: 'done' };
}

/** At least a moment, so that a key that is due does not return to the queue at once. */
function clamp(ms: number): number {
  return Math.min(Math.max(ms, 100), MAX_RECHECK_MS);
}
