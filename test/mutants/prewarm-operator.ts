/** Defects of the controllers of prewarms and gated pods. */
import type { Mutant } from './mutants.ts';

export const PREWARM_OPERATOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'a prewarm that has run once starts again',
    file: 'operator/prewarm/run.ts',
    search: 'return runs === 0 ? Number.NEGATIVE_INFINITY : undefined;',
    replace: 'return Number.NEGATIVE_INFINITY;',
  },
  {
    name: 'a schedule counts from the creation after its first run too',
    file: 'operator/prewarm/run.ts',
    search: 'Date.parse(lastRunTime ?? metadata.creationTimestamp)',
    replace: 'Date.parse(metadata.creationTimestamp)',
  },
  {
    name: 'a suspended prewarm starts',
    file: 'operator/prewarm/run.ts',
    search: 'if (suspend || problem !== undefined ||',
    replace: 'if (problem !== undefined ||',
  },
  {
    name: 'the deadline counts during a suspension',
    file: 'operator/prewarm/run.ts',
    search: 'run: { ...run, startTime: undefined }, result: undefined',
    replace: 'run, result: undefined',
  },
  {
    name: 'the deadline comes before what is finished',
    file: 'operator/prewarm/run.ts',
    search: "if (report?.state === 'finished') return end(resultOfReport(report));",
    replace:
      "if (report?.state === 'finished' && activeDeadlineSeconds === undefined) return end(resultOfReport(report));",
  },
  {
    name: 'a run with failed objects is complete',
    file: 'operator/prewarm/run.ts',
    search: 'if (objects.failed === 0)',
    replace: 'if (objects.failed < objects.total)',
  },
  {
    name: 'the report of an earlier run counts',
    file: 'operator/prewarm/pod-prewarms.ts',
    search: 'report.uid === uid && report.run === run',
    replace: 'report.uid === uid',
  },
  {
    name: 'the reports of a pod are kept forever',
    file: 'operator/prewarm/pod-prewarms.ts',
    search: 'if (clock.now() - atMs >= MAX_AGE_MS) cached.delete(id);',
    replace: 'void [id, atMs];',
  },
  {
    name: 'the report of the replica that is behind counts',
    file: 'operator/prewarm/pod-prewarms.ts',
    search: 'handled(right) - handled(left)',
    replace: 'handled(left) - handled(right)',
  },
  {
    name: 'a new run shows the figures of the last one',
    file: 'operator/prewarm/status.ts',
    search: "if (step.change === 'started') return NO_FIGURES;",
    replace: '',
  },
  {
    name: 'what is missing has no grace period',
    file: 'operator/prewarm/status.ts',
    search: 'return Math.max(startMs + GRACE_MS - nowMs, 0);',
    replace: 'return 0;',
  },
  {
    name: 'the grace period begins again with each pass',
    file: 'operator/prewarm/status.ts',
    search: 'since(CONDITION.reconciling, REASON.waitingForReference) ?? nowMs',
    replace: 'nowMs',
  },
  {
    name: 'a prewarm is 100 % before it is done',
    file: 'operator/prewarm/figures.ts',
    search: 'Math.floor((done / total) * 100)',
    replace: 'Math.ceil((done / total) * 100)',
  },
  {
    name: 'a pattern of the cache serves only itself',
    file: 'operator/prewarm/problem.ts',
    search: "rule.endsWith('*') ?",
    replace: "rule.endsWith('**') ?",
  },
  {
    name: 'a pinned prewarm is deleted before its pin ends',
    file: 'operator/prewarm/expiry.ts',
    search: 'return Math.max(afterTtlMs, endedMs + (parseDuration(pin.ttl) ?? 0));',
    replace: 'return afterTtlMs;',
  },
  {
    name: 'a finished prewarm is deleted although it has changed',
    file: 'operator/prewarm/reconcile.ts',
    search: 'preconditions: { uid, resourceVersion }',
    replace: 'preconditions: { uid }',
  },
  {
    name: 'figures are written with every pass',
    file: 'operator/prewarm/pace.ts',
    search: 'return isRecent && published !== undefined && isSameStep(published, next) ? published : next;',
    replace: 'return next;',
  },
  {
    name: 'the end of a run waits for the next figures',
    file: 'operator/prewarm/pace.ts',
    search: 'isSameStep(published, next) ?',
    replace: 'next.runs === published.runs ?',
  },
  {
    name: 'a failed run of a schedule needs the user',
    file: 'operator/prewarm/conditions.ts',
    search: "(phase.kind === 'over' && phase.result.kind === 'failed')",
    replace: "('result' in phase && phase.result?.kind === 'failed')",
  },
  {
    name: 'one complete prewarm of several releases the pod',
    file: 'operator/gates/decide.ts',
    search: "if (kinds.every((kind) => kind === 'complete'))",
    replace: "if (kinds.some((kind) => kind === 'complete'))",
  },
  {
    name: 'a failure releases pods that wait for another prewarm',
    file: 'operator/gates/decide.ts',
    search: "kinds.every((kind) => kind === 'complete' || kind === 'failed')",
    replace: "kinds.some((kind) => kind === 'failed')",
  },
  {
    name: 'a failure releases every pod',
    file: 'operator/gates/decide.ts',
    search: 'if (!pod.releasedOnFailure || !isSettled) return undefined;',
    replace: 'if (!isSettled) return undefined;',
  },
  {
    name: 'all gates of a pod are removed',
    file: 'operator/gates/reconcile.ts',
    search: "schedulingGates: [{ $patch: 'delete', name: PREWARM_GATE }]",
    replace: 'schedulingGates: null',
  },
  {
    name: 'the name in an annotation can be any path',
    file: 'operator/gates/reconcile.ts',
    search: 'NAME.test(name) ?',
    replace: 'name.length > 0 ?',
  },
  {
    name: 'a pod has an event for each change',
    file: 'operator/gates/explained.ts',
    search: 'if (known.has(reason)) return false;',
    replace: '',
  },
];
