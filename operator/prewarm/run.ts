/**
 * The runs of a prewarm: when one starts, is suspended, resumes and ends. Pure: from the published status, the spec, the
 * time, and what a replica reports.
 */
import { CONDITION, REASON, type Reason } from '#crds/names.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { timestamp } from '#operator/status/timestamp.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import type { Problem } from './problem.ts';
import { parseSchedule } from './schedule.ts';

/** The fields of the status that describe the newest run. Undefined ones are removed from it. */
export interface Run {
  readonly runs: number;
  /** Set while the run is to be done. */
  readonly activeRun: number | undefined;
  /** When the newest run started, or last resumed. Absent while it is suspended, as in a Job. */
  readonly startTime: string | undefined;
  readonly completionTime: string | undefined;
  readonly lastRunTime: string | undefined;
}

/** How the newest run ended. */
export interface Result {
  readonly kind: 'complete' | 'failed';
  readonly reason: Reason;
  readonly message: string;
}

export interface Step {
  readonly run: Run;
  readonly result: Result | undefined;
  /** `started`, `ended`: in this step. */
  readonly change: 'none' | 'started' | 'ended';
  readonly nextRunMs: number | undefined;
}

export interface StepInput {
  readonly prewarm: OrcaPrewarm;
  readonly problem: Problem | undefined;
  /** The report about the active run of the published status. */
  readonly report: PrewarmReport | undefined;
  readonly nowMs: number;
}

export function step(input: StepInput): Step {
  const { prewarm, problem, report, nowMs } = input;
  const { suspend, activeDeadlineSeconds } = prewarm.spec;
  const run = runOf(prewarm);
  const result = resultOf(prewarm);
  if (run.activeRun === undefined) {
    const nextRunMs = nextRun(prewarm, run);
    if (suspend || problem !== undefined || nextRunMs === undefined || nextRunMs > nowMs)
      return { run, result, change: 'none', nextRunMs };
    const started = start(run, nowMs);
    return { run: started, result: undefined, change: 'started', nextRunMs: nextRun(prewarm, started) };
  }
  const nextRunMs = nextRun(prewarm, run);
  const end = (result: Result): Step => ({
    run: { ...run, activeRun: undefined, completionTime: timestamp(nowMs) },
    result,
    change: 'ended',
    nextRunMs,
  });
  if (report?.state === 'finished') return end(resultOfReport(report));
  if (suspend) return { run: { ...run, startTime: undefined }, result: undefined, change: 'none', nextRunMs };
  const startTime = run.startTime ?? timestamp(nowMs);
  if (activeDeadlineSeconds !== undefined && nowMs - Date.parse(startTime) >= activeDeadlineSeconds * 1000)
    return end({
      kind: 'failed',
      reason: REASON.deadlineExceeded,
      message: `the run has taken longer than spec.activeDeadlineSeconds (${activeDeadlineSeconds} s); what it has stored stays`,
    });
  return { run: { ...run, startTime }, result: undefined, change: 'none', nextRunMs };
}

/** A prewarm that is done once has ended: nothing but its deletion can happen any more. */
export function isOver({ spec, status }: OrcaPrewarm): boolean {
  return spec.schedule === undefined && status?.activeRun === undefined && status?.completionTime !== undefined;
}

export function runOf({ status = {} }: OrcaPrewarm): Run {
  const { runs = 0, activeRun, startTime, completionTime, lastRunTime } = status as Partial<Run>;
  return { runs, activeRun, startTime, completionTime, lastRunTime };
}

function start({ runs }: Run, nowMs: number): Run {
  const time = timestamp(nowMs);
  return { runs: runs + 1, activeRun: runs + 1, startTime: time, completionTime: undefined, lastRunTime: time };
}

/**
 * When the next run may start; in the past if it is due. Of starts that were missed, one is made up for. Undefined: never.
 */
function nextRun({ metadata, spec }: OrcaPrewarm, { runs, lastRunTime }: Run): number | undefined {
  if (spec.schedule === undefined) return runs === 0 ? Number.NEGATIVE_INFINITY : undefined;
  try {
    return parseSchedule(spec.schedule, spec.timeZone).next(Date.parse(lastRunTime ?? metadata.creationTimestamp));
  } catch (error) {
    // Reported as a problem.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function resultOf({ status }: OrcaPrewarm): Result | undefined {
  for (const [type, kind] of [
    [CONDITION.failed, 'failed'],
    [CONDITION.complete, 'complete'],
  ] as const) {
    const found = status?.conditions?.find((condition) => condition.type === type && condition.status === 'True');
    if (found !== undefined) return { kind, reason: found.reason as Reason, message: found.message };
  }
  return undefined;
}

function resultOfReport({ objects, failures }: PrewarmReport): Result {
  if (objects.failed === 0)
    return { kind: 'complete', reason: REASON.completed, message: `${countOf(objects.total)} stored` };
  const [first] = failures;
  const example = first === undefined ? '' : `; the first: ${first.key} (${first.reason})`;
  return {
    kind: 'failed',
    reason: REASON.objectsFailed,
    message: `${objects.failed} of ${countOf(objects.total)} failed${example}`,
  };
}

function countOf(objects: number): string {
  return objects === 1 ? '1 object' : `${objects} objects`;
}
