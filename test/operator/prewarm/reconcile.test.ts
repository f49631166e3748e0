import { describe, expect, test } from 'vitest';
import { openPrewarmHarness, PATH } from './harness.ts';

const GIB = 1024 ** 3;
const HALF = {
  listed: true,
  objects: { total: 4, done: 2, failed: 0 },
  bytes: { total: 2 * GIB, done: GIB, fromOrigin: GIB - 5, alreadyStored: 5 },
  bytesPerSecond: 100 * 1024 ** 2,
} as const;
const WHOLE = {
  ...HALF,
  state: 'finished',
  objects: { total: 4, done: 4, failed: 0 },
  bytes: { total: 2 * GIB, done: 2 * GIB, fromOrigin: 2 * GIB - 5, alreadyStored: 5 },
} as const;

describe('a prewarm that is done once', () => {
  test('starts at once, shows the progress that a replica reports, and is complete when the replica has finished', async () => {
    const { apply, putCache, reconcile, report, status, condition, message, events, clock } =
      await openPrewarmHarness();
    putCache();
    apply();
    const first = await reconcile();
    expect(first.outcome).toEqual({ kind: 'requeue', afterMs: 5000, reason: 'running' });
    expect(status()).toMatchObject({
      observedGeneration: 1,
      state: 'Pending',
      runs: 1,
      activeRun: 1,
      startTime: '2026-01-01T00:00:00Z',
      lastRunTime: '2026-01-01T00:00:00Z',
    });
    expect(condition('Reconciling')).toBe('True Running');
    expect(condition('Ready')).toBe('False Running');
    expect(condition('Complete')).toBe('False Running');
    expect(events()).toEqual(['Normal Started']);

    report(HALF);
    await clock.advance(5000);
    await reconcile();
    expect(status()).toMatchObject({
      state: 'Running',
      listed: true,
      objects: HALF.objects,
      bytes: HALF.bytes,
      progress: '50 % 1/2Gi',
      rate: '100Mi/s',
      estimatedCompletionTime: '2026-01-01T00:00:15Z',
    });

    report(WHOLE);
    await clock.advance(5000);
    const last = await reconcile();
    expect(last.outcome).toEqual({ kind: 'done' });
    expect(status()).toMatchObject({
      state: 'Complete',
      runs: 1,
      completionTime: '2026-01-01T00:00:10Z',
      progress: '100 % 2/2Gi',
      bytes: WHOLE.bytes,
    });
    for (const field of ['activeRun', 'rate', 'estimatedCompletionTime', 'nextRunTime', 'failures', 'pin'])
      expect(status()).not.toHaveProperty(field);
    expect(condition('Complete')).toBe('True Completed');
    expect(message('Complete')).toBe('4 objects stored');
    expect(condition('Ready')).toBe('True Completed');
    expect(condition('Failed')).toBe('False Completed');
    expect(condition('Reconciling')).toBe('False Completed');
    expect(events()).toEqual(['Normal Started', 'Normal Completed']);
  });

  test('writes nothing more once it is complete, and asks no pod', async () => {
    const { apply, putCache, reconcile, report, polls, clock, restart } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    report(WHOLE);
    await reconcile();
    const before = polls();
    report(undefined);
    restart();
    await clock.advance(3_600_000);
    const { writes, outcome } = await reconcile();
    expect(writes).toEqual([]);
    expect(outcome).toEqual({ kind: 'done' });
    expect(polls()).toBe(before);
  });

  test('fails if an object failed, with the first key and its reason', async () => {
    const { apply, putCache, reconcile, report, status, condition, message, events } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    const failures = [
      { key: 'llama/a', reason: 'not_found' },
      { key: 'llama/b', reason: 'access_denied' },
    ];
    report({ ...WHOLE, objects: { total: 4, done: 2, failed: 2 }, failures });
    await reconcile();
    expect(status()).toMatchObject({ state: 'Failed', failures });
    expect(condition('Failed')).toBe('True ObjectsFailed');
    expect(message('Failed')).toBe('2 of 4 objects failed; the first: llama/a (not_found)');
    expect(condition('Complete')).toBe('False ObjectsFailed');
    // So that tools which follow kstatus see a failure.
    expect(condition('Ready')).toBe('False ObjectsFailed');
    expect(condition('Stalled')).toBe('True ObjectsFailed');
    expect(events()).toEqual(['Normal Started', 'Warning Failed']);
  });

  test('ignores reports of another run, and those of a pod that has finished an earlier one', async () => {
    const { apply, putCache, reconcile, report, condition } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    report({ ...WHOLE, run: 7 });
    await reconcile();
    expect(condition('Complete')).toBe('False Running');
  });

  test('reports why it makes no progress', async () => {
    const { apply, putCache, reconcile, report, message, api, clock } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    expect(message('Reconciling')).toBe('run 1 waits for a replica of the cache');
    report({ ...HALF, message: 'the origin is not available' });
    await reconcile();
    expect(message('Reconciling')).toBe('the origin is not available');
    api.delete(PATH.pod('models-0'));
    await clock.advance(5000);
    await reconcile();
    expect(message('Reconciling')).toBe('run 1 is in progress; no replica of the cache reports it at the moment');
  });

  test('writes figures at most every five seconds, but its end at once', async () => {
    const { apply, putCache, reconcile, report, status, clock } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    await clock.advance(5000);
    report(HALF);
    await reconcile();
    await clock.advance(4000);
    report({ ...HALF, objects: { total: 4, done: 3, failed: 0 } });
    expect((await reconcile()).writes).toEqual([]);
    await clock.advance(1000);
    await reconcile();
    expect(status().objects?.done).toBe(3);
    await clock.advance(4000);
    report(WHOLE);
    await reconcile();
    expect(status().state).toBe('Complete');
  });
});
