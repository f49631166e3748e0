/** Random histories of a prewarm: whatever happens in whatever order, its status is consistent. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { REASON } from '#crds/names.ts';
import { parseOrcaPrewarm } from '#crds/validate.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { step } from '#operator/prewarm/run.ts';
import { statusOf } from '#operator/prewarm/status.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { CREATED_MS, prewarmOf, reportOf } from './samples.ts';

const problem = { reason: REASON.cacheNotFound, message: 'no cache', mayAppear: true };
const event = fc.record({
  waitMs: fc.constantFrom(0, 5000, 60_000, 3_600_000),
  suspend: fc.boolean(),
  hasProblem: fc.boolean(),
  report: fc.option(
    fc.record({
      state: fc.constantFrom<PrewarmReport['state']>('running', 'finished'),
      failed: fc.nat(1),
      pin: fc.constantFrom<PrewarmReport['pin']>('none', 'pinned', 'refused'),
    }),
  ),
});
const spec = fc.record(
  { schedule: fc.constant('@hourly'), activeDeadlineSeconds: fc.constantFrom(1, 120) },
  { requiredKeys: [] },
);

/** What a merge patch leaves. */
function withoutUndefined<T extends object>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

test('the status stays consistent, and a pass without news changes nothing', () => {
  fc.assert(
    fc.property(spec, fc.array(event, { maxLength: 12 }), (fields, events) => {
      let nowMs = CREATED_MS;
      let prewarm: OrcaPrewarm = prewarmOf(fields);
      let isOver = false;
      for (const { waitMs, suspend, hasProblem, report } of events) {
        nowMs += waitMs;
        const before = prewarm.status ?? {};
        prewarm = { ...prewarm, spec: { ...prewarm.spec, suspend } };
        const pass = (): OrcaPrewarm => {
          const { activeRun } = prewarm.status ?? {};
          const input = {
            prewarm,
            problem: hasProblem ? problem : undefined,
            report:
              report === null || activeRun === undefined
                ? undefined
                : reportOf({ ...report, run: activeRun, objects: { total: 2, done: 1, failed: report.failed } }),
            nowMs,
          };
          const { status } = statusOf({ ...input, step: step(input), pods: 1 });
          return { ...prewarm, status: withoutUndefined(status) };
        };
        prewarm = pass();
        const status = prewarm.status ?? {};
        check(prewarm, before);
        // A prewarm that is done once never leaves its end.
        if (isOver) expect(status.runs).toBe(before.runs);
        isOver ||= status.state === 'Complete' || (status.state === 'Failed' && fields.schedule === undefined);
        if (status.activeRun === undefined && before.activeRun === undefined) expect(pass()).toEqual(prewarm);
      }
    }),
    { numRuns: 100 },
  );
});

function check(prewarm: OrcaPrewarm, before: NonNullable<OrcaPrewarm['status']>): void {
  const { status = {} } = prewarm;
  const { runs = 0, activeRun, startTime, completionTime, conditions = [] } = status;
  const holds = (type: string): boolean =>
    conditions.some((condition) => condition.type === type && condition.status === 'True');
  expect(runs).toBeGreaterThanOrEqual(before.runs ?? 0);
  if (activeRun !== undefined) {
    expect(activeRun).toBe(runs);
    expect(completionTime).toBeUndefined();
    expect([holds('Complete'), holds('Failed'), holds('Ready')]).toEqual([false, false, false]);
    expect(startTime === undefined).toBe(prewarm.spec.suspend);
  }
  expect([holds('Complete'), holds('Failed')]).not.toEqual([true, true]);
  expect([holds('Stalled'), holds('Reconciling')]).not.toEqual([true, true]);
  expect([holds('Ready'), holds('Reconciling')]).not.toEqual([true, true]);
  expect([holds('Ready'), holds('Failed')]).not.toEqual([true, true]);
  if (holds('Complete')) expect(completionTime).toBeDefined();
  expect(conditions).toHaveLength(6);
  for (const { reason } of conditions) expect(Object.values(REASON)).toContain(reason);
  // The API server accepts it.
  expect(parseOrcaPrewarm({ ...prewarm, metadata: { name: 'llama', namespace: 'ml' } })).toMatchObject({ ok: true });
}
