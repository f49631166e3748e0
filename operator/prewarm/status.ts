/** Computes the status of a prewarm from a step of its runs. Pure. */
import { CONDITION, REASON } from '#crds/names.ts';
import type { OrcaPrewarm, OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import { mergeConditions } from '#operator/status/merge-conditions.ts';
import { timestamp } from '#operator/status/timestamp.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { conditionsOf, stateOf, type Phase } from './conditions.ts';
import { atRest, figuresOf, NO_FIGURES, publishedFigures, type Figures } from './figures.ts';
import type { Problem } from './problem.ts';
import { isOver, type Step } from './run.ts';

export interface StatusInput {
  readonly prewarm: OrcaPrewarm;
  readonly step: Step;
  readonly problem: Problem | undefined;
  readonly report: PrewarmReport | undefined;
  /** The number of pods that were queried for a report. */
  readonly pods: number;
  readonly nowMs: number;
}

/** A cache may be created together with its prewarms, in any order. */
const GRACE_MS = 60_000;

export function statusOf(input: StatusInput): { readonly status: OrcaPrewarmStatus; readonly phase: Phase } {
  const { prewarm, step, nowMs } = input;
  const phase = phaseOf(input);
  const published = prewarm.status?.conditions ?? [];
  const fields = {
    observedGeneration: prewarm.metadata.generation,
    state: stateOf(phase),
    ...step.run,
    nextRunTime: nextRunTimeOf(step, phase),
    ...figures(input),
    conditions: mergeConditions(conditionsOf(phase), published, prewarm.metadata.generation, nowMs),
  };
  // Undefined fields are those that the patch removes.
  return { status: fields as OrcaPrewarmStatus, phase };
}

/** How long a missing object may still appear before it counts as an error. */
export function graceLeftMs(prewarm: OrcaPrewarm, { mayAppear }: Problem, nowMs: number): number {
  const conditions = prewarm.status?.conditions ?? [];
  const since = (type: string, reason: string | undefined): number | undefined => {
    const found = conditions.find((condition) => condition.type === type && condition.status === 'True');
    return found === undefined || (reason !== undefined && found.reason !== reason)
      ? undefined
      : Date.parse(found.lastTransitionTime);
  };
  // During a run, what is missing was there: it does not come with the prewarm.
  if (!mayAppear || prewarm.status?.activeRun !== undefined || since(CONDITION.stalled, undefined) !== undefined)
    return 0;
  const startMs = since(CONDITION.reconciling, REASON.waitingForReference) ?? nowMs;
  return Math.max(startMs + GRACE_MS - nowMs, 0);
}

function phaseOf({ prewarm, step, problem, report, pods, nowMs }: StatusInput): Phase {
  const { run, result, nextRunMs } = step;
  const { spec } = prewarm;
  if (spec.schedule === undefined && run.activeRun === undefined && result !== undefined)
    return { kind: 'over', result };
  const isOpen = run.activeRun !== undefined || spec.schedule === undefined;
  if (spec.suspend) return { kind: 'suspended', isOpen, result };
  if (problem !== undefined) return { kind: 'blocked', problem, waiting: graceLeftMs(prewarm, problem, nowMs) > 0 };
  if (run.activeRun !== undefined) {
    const isReported = report !== undefined || (step.change !== 'started' && prewarm.status?.objects !== undefined);
    return { kind: 'running', isReported, message: runningMessage(run.activeRun, report, pods, isReported) };
  }
  return { kind: 'scheduled', nextRunTime: timestamp(nextRunMs ?? nowMs), result };
}

function runningMessage(run: number, report: PrewarmReport | undefined, pods: number, isReported: boolean): string {
  if (report !== undefined) return report.message || `run ${run} is in progress`;
  if (isReported) return `run ${run} is in progress; no replica of the cache reports it at the moment`;
  return pods === 0
    ? `run ${run} waits for a replica of the cache`
    : `run ${run} waits for a replica of the cache to begin it`;
}

function nextRunTimeOf({ nextRunMs }: Step, phase: Phase): string | undefined {
  const isKnown = nextRunMs !== undefined && Number.isFinite(nextRunMs);
  return isKnown && phase.kind !== 'suspended' ? timestamp(nextRunMs) : undefined;
}

function figures({ prewarm, step, report, nowMs }: StatusInput): Figures {
  if (step.change === 'started') return NO_FIGURES;
  const isMoving = step.run.activeRun !== undefined && !prewarm.spec.suspend;
  const published = publishedFigures(prewarm.status);
  if (report !== undefined && !(isEmpty(report) && published.objects !== undefined))
    return figuresOf(report, isMoving, nowMs);
  return isMoving && !isOver(prewarm) ? published : atRest(published);
}

/** After a takeover, until the replica has read the record of the run. */
function isEmpty({ state, listed, objects }: PrewarmReport): boolean {
  return state === 'running' && !listed && objects.total === 0;
}
