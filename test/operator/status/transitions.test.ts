import { describe, expect, test } from 'vitest';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { transitions } from '#operator/status/transitions.ts';

function status(...conditions: readonly string[]): OrcaCacheStatus {
  return {
    observedGeneration: 1,
    conditions: conditions.map((summary) => {
      const [type = '', is = 'Unknown', reason = ''] = summary.split(' ');
      return {
        type,
        status: is as 'True' | 'False' | 'Unknown',
        reason,
        message: `about ${type}`,
        observedGeneration: 1,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
    }),
  };
}

const reported = (before: OrcaCacheStatus | undefined, after: OrcaCacheStatus): string[] =>
  transitions(before, after).map(({ type, reason }) => `${type} ${reason}`);

describe('transitions', () => {
  const progressing = status('Ready False Progressing', 'Reconciling True Progressing', 'Stalled False Progressing');
  const good = status('Ready True ReplicasReady', 'Reconciling False ReplicasReady', 'Stalled False ReplicasReady');
  const failed = status('Ready False RolloutFailed', 'Reconciling False RolloutFailed', 'Stalled True RolloutFailed');

  test.for<readonly [string, OrcaCacheStatus | undefined, OrcaCacheStatus, readonly string[]]>([
    ['report the first status once', undefined, progressing, ['Normal Progressing']],
    ['report that the cache is ready', progressing, good, ['Normal ReplicasReady']],
    ['warn once about a stall', progressing, failed, ['Warning RolloutFailed']],
    ['report nothing without a change', failed, failed, []],
    ['report the recovery', failed, progressing, ['Normal Progressing']],
    [
      'report a wait of a cache that stays ready',
      good,
      status('Ready True ReplicasReady', 'Reconciling True WaitingForSecret', 'Stalled False WaitingForSecret'),
      ['Normal WaitingForSecret'],
    ],
  ])('%s', ([, before, after, expected]) => {
    expect(reported(before, after)).toEqual(expected);
  });
});
