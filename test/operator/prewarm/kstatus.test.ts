import { describe, expect, test } from 'vitest';
import { acceptedPrewarm, prewarmWith } from '#test/crds/prewarm-sample.ts';
import { kstatus } from '#test/operator/status/kstatus.ts';
import { PREWARM_STATES, prewarmAfter, prewarmIn } from './states.ts';

describe('kstatus of a prewarm is', () => {
  test.for(PREWARM_STATES)('%s when %s', ([expected, , passes]) => {
    const prewarm = prewarmAfter(passes);
    expect(kstatus(prewarm, prewarm.status)).toBe(expected);
  });

  test('InProgress for a new prewarm that the operator has not observed', () => {
    const prewarm = acceptedPrewarm(prewarmWith({ 'metadata.generation': 1 }));
    expect(kstatus(prewarm, prewarm.status)).toBe('InProgress');
  });
});

describe('the status of a prewarm', () => {
  test.for(PREWARM_STATES)('is accepted by the schema: %s when %s', ([, , passes]) => {
    const { status } = prewarmAfter(passes);
    expect(acceptedPrewarm(prewarmWith({ status })).status).toEqual(status);
  });

  test.for(PREWARM_STATES)('has a message in the condition Ready: %s when %s', ([, , passes]) => {
    const ready = prewarmAfter(passes).status?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready?.message).not.toBe('');
  });

  test('has the figures of the run', () => {
    expect(prewarmIn('a run is in progress').status).toMatchObject({
      state: 'Running',
      runs: 1,
      activeRun: 1,
      progress: '62 % 62/100Gi',
      rate: '1Gi/s',
      objects: { total: 100, done: 62, failed: 0 },
    });
  });
});
