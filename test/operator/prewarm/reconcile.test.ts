import { describe, expect, test } from 'vitest';
import { openPrewarmHarness, PATH, type PrewarmHarness as Harness } from './harness.ts';

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
    expect(first.outcome).toEqual({ kind: 'requeue', afterMs: 1000, reason: 'running' });
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

  test('has an event of at most 1024 bytes, whatever key it quotes', async () => {
    const { apply, putCache, reconcile, report, api } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    const failures = [{ key: '\u{1F433}'.repeat(300), reason: 'not_found' }];
    report({ ...WHOLE, objects: { total: 4, done: 3, failed: 1 }, failures });
    await reconcile();
    const notes = api
      .writes()
      .flatMap(({ path, body }) => (path === PATH.events ? (body as { note: string }).note : []));
    const last = notes.at(-1) ?? '';
    expect(Buffer.byteLength(last)).toBeLessThanOrEqual(1024);
    expect(last).toMatch(/^run 1: 1 of 4 objects failed; the first: \u{1F433}+$/u);
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
    await clock.advance(15_000);
    expect((await reconcile()).outcome).toMatchObject({ afterMs: 5000 });
    report({ ...HALF, message: 'the origin is not available' });
    await clock.advance(5000);
    await reconcile();
    expect(message('Reconciling')).toBe('the origin is not available');
    api.delete(PATH.pod('models-0'));
    await clock.advance(5000);
    await reconcile();
    expect(message('Reconciling')).toBe('run 1 is in progress; no replica of the cache reports it at the moment');
  });

  test('keeps its figures while another replica takes the run over and has none yet', async () => {
    const { apply, putCache, reconcile, report, status, events, message, clock } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    const refused = { ...HALF, pin: 'refused', message: 'the pin was refused' } as const;
    report(refused);
    await clock.advance(5000);
    await reconcile();
    report({ message: 'cannot begin: the cachestore is not available' });
    await clock.advance(5000);
    await reconcile();
    expect(status()).toMatchObject({ state: 'Running', objects: HALF.objects, bytes: HALF.bytes, pin: 'Refused' });
    expect(message('Reconciling')).toBe('cannot begin: the cachestore is not available');
    report(refused);
    await clock.advance(5000);
    await reconcile();
    expect(events()).toEqual(['Normal Started', 'Warning PinRefused']);
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

describe('a suspended prewarm', () => {
  test('does not start, and starts when it is resumed', async () => {
    const { apply, putCache, reconcile, status, condition, events } = await openPrewarmHarness();
    putCache();
    apply({ suspend: true });
    expect((await reconcile()).outcome).toEqual({ kind: 'done' });
    expect(status()).toMatchObject({ state: 'Suspended', runs: 0 });
    expect(condition('Suspended')).toBe('True Suspended');
    expect(condition('Ready')).toBe('Unknown Suspended');
    expect(condition('Reconciling')).toBe('False Suspended');
    apply({ suspend: false });
    await reconcile();
    expect(status()).toMatchObject({ state: 'Pending', activeRun: 1 });
    expect(events()).toEqual(['Normal Suspended', 'Normal Started', 'Normal Resumed']);
  });

  test('keeps its run, without a start time and a rate; its deadline begins again when it is resumed', async () => {
    const { apply, putCache, reconcile, report, status, condition, clock, events } = await openPrewarmHarness();
    putCache();
    apply({ activeDeadlineSeconds: 60 });
    await reconcile();
    report(HALF);
    await clock.advance(30_000);
    await reconcile();
    apply({ suspend: true });
    expect((await reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 30_000 });
    expect(status()).toMatchObject({ state: 'Suspended', runs: 1, activeRun: 1, progress: '50 % 1/2Gi' });
    expect(status()).not.toHaveProperty('startTime');
    expect(status()).not.toHaveProperty('rate');
    await clock.advance(3_600_000);
    await reconcile();
    expect(status().state).toBe('Suspended');
    apply({ suspend: false });
    await reconcile();
    expect(status()).toMatchObject({ state: 'Running', activeRun: 1, startTime: '2026-01-01T01:00:30Z' });
    await clock.advance(59_000);
    await reconcile();
    expect(status().state).toBe('Running');
    await clock.advance(1000);
    await reconcile();
    expect(condition('Failed')).toBe('True DeadlineExceeded');
    expect(events()).toEqual(['Normal Started', 'Normal Suspended', 'Normal Resumed', 'Warning DeadlineExceeded']);
  });

  test('is complete if its run had finished before the replica noticed', async () => {
    const { apply, putCache, reconcile, report, status } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    report(WHOLE);
    apply({ suspend: true });
    await reconcile();
    expect(status().state).toBe('Complete');
  });
});

describe('a deadline', () => {
  test('ends the run with the figures so far; a run that has finished in time is complete', async () => {
    const { apply, putCache, reconcile, report, status, clock } = await openPrewarmHarness();
    putCache();
    apply({ activeDeadlineSeconds: 10 });
    await reconcile();
    report(HALF);
    await clock.advance(10_000);
    await reconcile();
    expect(status()).toMatchObject({ state: 'Failed', completionTime: '2026-01-01T00:00:10Z', bytes: HALF.bytes });
    expect(status()).not.toHaveProperty('activeRun');
    expect(status()).not.toHaveProperty('rate');
  });

  test('counts after a finished report', async () => {
    const { apply, putCache, reconcile, report, status, clock } = await openPrewarmHarness();
    putCache();
    apply({ activeDeadlineSeconds: 10 });
    await reconcile();
    report(WHOLE);
    await clock.advance(20_000);
    await reconcile();
    expect(status().state).toBe('Complete');
  });
});

describe('a schedule', () => {
  const DAILY = { schedule: '0 2 * * *', timeZone: 'UTC' };

  test('waits for its time as Ready, runs, and waits again', async () => {
    const { apply, putCache, reconcile, report, status, condition, message, clock, events } =
      await openPrewarmHarness();
    putCache();
    apply(DAILY);
    expect((await reconcile()).outcome).toEqual({ kind: 'requeue', afterMs: 3_600_000, reason: 'scheduled' });
    expect(status()).toMatchObject({ state: 'Scheduled', runs: 0, nextRunTime: '2026-01-01T02:00:00Z' });
    expect(condition('Ready')).toBe('True Scheduled');
    expect(message('Ready')).toBe('the first run starts at 2026-01-01T02:00:00Z');
    expect(condition('Complete')).toBe('False Scheduled');
    await clock.advance(2 * 3_600_000);
    await reconcile();
    expect(status()).toMatchObject({
      activeRun: 1,
      lastRunTime: '2026-01-01T02:00:00Z',
      nextRunTime: '2026-01-02T02:00:00Z',
    });
    report(WHOLE);
    await reconcile();
    expect(status()).toMatchObject({ state: 'Scheduled', runs: 1 });
    expect(condition('Complete')).toBe('True Completed');
    expect(condition('Ready')).toBe('True Completed');

    await clock.advance(24 * 3_600_000);
    await reconcile();
    // The figures of the last run do not describe the new one.
    expect(status()).toMatchObject({ runs: 2, activeRun: 2, state: 'Pending' });
    for (const field of ['objects', 'bytes', 'progress', 'completionTime']) expect(status()).not.toHaveProperty(field);
    expect(condition('Complete')).toBe('False Running');
    report({ ...WHOLE, objects: { total: 4, done: 3, failed: 1 } });
    await reconcile();
    expect(status().state).toBe('Failed');
    expect(condition('Failed')).toBe('True ObjectsFailed');
    // The next run makes another attempt.
    expect(condition('Stalled')).toBe('False ObjectsFailed');
    expect(events()).toEqual(['Normal Started', 'Normal Completed', 'Normal Started', 'Warning Failed']);
  });

  test('makes up for missed starts with one run', async () => {
    const { apply, putCache, reconcile, report, status, clock } = await openPrewarmHarness();
    putCache();
    apply(DAILY);
    await clock.advance(10 * 24 * 3_600_000);
    await reconcile();
    expect(status()).toMatchObject({ runs: 1, activeRun: 1 });
    report(WHOLE);
    await reconcile();
    await reconcile();
    expect(status()).toMatchObject({ runs: 1, nextRunTime: '2026-01-11T02:00:00Z' });
  });

  test('starts no run while another is active, and none while it is suspended', async () => {
    const { apply, putCache, reconcile, report, status, condition, clock } = await openPrewarmHarness();
    putCache();
    apply({ ...DAILY, schedule: '@hourly' });
    await clock.advance(3_600_000);
    await reconcile();
    await clock.advance(2 * 3_600_000);
    await reconcile();
    expect(status()).toMatchObject({ runs: 1, activeRun: 1 });
    report(WHOLE);
    apply({ suspend: true });
    await reconcile();
    await clock.advance(2 * 3_600_000);
    await reconcile();
    expect(status()).toMatchObject({ runs: 1, state: 'Suspended' });
    expect(status()).not.toHaveProperty('nextRunTime');
    // The result of the last run still holds.
    expect(condition('Ready')).toBe('True Suspended');
    expect(condition('Complete')).toBe('True Completed');
    apply({ suspend: false });
    await reconcile();
    expect(status()).toMatchObject({ runs: 2, activeRun: 2 });
  });

  test('that never occurs, or whose time zone does not exist, is stalled with the field', async () => {
    const { apply, putCache, reconcile, condition, message } = await openPrewarmHarness();
    putCache();
    apply({ schedule: '0 0 30 2 *' });
    expect((await reconcile()).outcome).toMatchObject({ kind: 'stalled', reason: 'InvalidSchedule' });
    expect(condition('Stalled')).toBe('True InvalidSchedule');
    expect(message('Stalled')).toMatch(/^spec.schedule: 0 0 30 2 \* never occurs/);
    apply({ schedule: '@daily', timeZone: 'Mars/Phobos' });
    await reconcile();
    expect(message('Stalled')).toContain('Mars/Phobos');
  });
});

describe('what does not exist', () => {
  test('is waited for during a minute, and then reported as an error until it appears', async () => {
    const { apply, putCache, reconcile, status, condition, message, clock, events } = await openPrewarmHarness();
    apply();
    expect((await reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 2000 });
    expect(status()).toMatchObject({ state: 'Pending', runs: 0 });
    expect(condition('Reconciling')).toBe('True WaitingForReference');
    expect(condition('Stalled')).toBe('False WaitingForReference');
    await clock.advance(59_000);
    await reconcile();
    expect(status().state).toBe('Pending');
    await clock.advance(1000);
    expect((await reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 15_000 });
    expect(status().state).toBe('Stalled');
    expect(condition('Stalled')).toBe('True CacheNotFound');
    expect(condition('Reconciling')).toBe('False CacheNotFound');
    expect(message('Stalled')).toBe(
      'spec.cacheRef.name: OrcaCache ml/models not found; create it, or create a new OrcaPrewarm with the name of a cache in this namespace',
    );
    putCache();
    await reconcile();
    expect(status()).toMatchObject({ state: 'Pending', activeRun: 1 });
    expect(events()).toEqual(['Warning CacheNotFound', 'Normal Started']);
  });

  test('may be the cache of a run: the run is kept', async () => {
    const { apply, putCache, reconcile, api, status, condition } = await openPrewarmHarness();
    putCache();
    apply();
    await reconcile();
    api.delete(PATH.cache);
    await reconcile();
    expect(status()).toMatchObject({ state: 'Stalled', activeRun: 1 });
    expect(condition('Stalled')).toBe('True CacheNotFound');
    putCache();
    await reconcile();
    expect(status()).toMatchObject({ state: 'Pending', activeRun: 1, runs: 1 });
  });

  test.for<readonly [string, NonNullable<Parameters<Harness['apply']>[0]>, string]>([
    [
      'a bucket',
      { targets: [{ bucket: 'models' }, { bucket: 'data' }] },
      'spec.targets[1].bucket: OrcaCache models does not serve bucket data; ',
    ],
    [
      'the bucket of a manifest',
      { targets: [{ bucket: 'models', manifest: { bucket: 'lists', key: 'a' } }] },
      'spec.targets[0].manifest.bucket: OrcaCache models does not serve bucket lists; ',
    ],
    [
      'a ConfigMap',
      { targets: [{ bucket: 'models', keysFrom: { configMapRef: { name: 'keys', key: 'list' } } }] },
      'spec.targets[0].keysFrom.configMapRef: ConfigMap ml/keys not found; create it',
    ],
    [
      'a key of a ConfigMap',
      { targets: [{ bucket: 'models', keysFrom: { configMapRef: { name: 'other', key: 'list' } } }] },
      'spec.targets[0].keysFrom.configMapRef: ConfigMap ml/other has no key list; add it',
    ],
  ])('may be %s', async ([, spec, message]) => {
    const harness = await openPrewarmHarness();
    harness.putCache();
    harness.api.put(PATH.configMap('other'), { data: { epoch: 'a' } });
    harness.apply(spec);
    await harness.reconcile();
    await harness.clock.advance(60_000);
    await harness.reconcile();
    expect(harness.status().state).toBe('Stalled');
    expect(harness.message('Stalled')).toContain(message);
  });
});

describe('keys from a ConfigMap', () => {
  const LISTED = { targets: [{ bucket: 'models', keysFrom: { configMapRef: { name: 'keys', key: 'list' } } }] };

  test('are granted to the pods of the cache, once, before the run starts', async () => {
    const { apply, putCache, reconcile, api } = await openPrewarmHarness();
    putCache();
    api.put(PATH.configMap('keys'), { data: { list: 'a' } });
    apply(LISTED);
    const { writes } = await reconcile();
    expect(writes.map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`)).toEqual([
      'POST ml/roles',
      'PATCH roles/llama-keys',
      'POST ml/rolebindings',
      'PATCH rolebindings/llama-keys',
      'PATCH llama/status',
    ]);
    expect(api.get(PATH.role)).toMatchObject({
      rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: ['keys'], verbs: ['get'] }],
    });
    expect(api.get(PATH.roleBinding)).toMatchObject({
      roleRef: { kind: 'Role', name: 'llama-keys' },
      subjects: [{ kind: 'ServiceAccount', name: 'models-cache', namespace: 'ml' }],
    });
    expect((await reconcile()).writes).toEqual([]);
  });

  test('are repaired, unless the name belongs to another owner', async () => {
    const { apply, putCache, reconcile, report, api, condition, clock } = await openPrewarmHarness();
    putCache();
    api.put(PATH.configMap('keys'), { data: { list: 'a' } });
    apply(LISTED);
    await reconcile();
    api.put(PATH.role, { rules: [] });
    await reconcile();
    expect(api.get(PATH.role)).toMatchObject({ rules: [{ resourceNames: ['keys'] }] });
    api.delete(PATH.role);
    api.put(PATH.role, { metadata: {}, rules: [] });
    // Nothing reports that the other object is deleted, and the run may end meanwhile.
    expect((await reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 15_000 });
    expect(condition('Stalled')).toBe('True NameConflict');
    expect(api.get(PATH.role)).toMatchObject({ rules: [] });
    report(WHOLE);
    await clock.advance(15_000);
    await reconcile();
    expect(condition('Complete')).toBe('True Completed');
  });
});

describe('a finished prewarm with a TTL', () => {
  const later = async (
    spec: NonNullable<Parameters<Harness['apply']>[0]>,
    report: Parameters<Harness['report']>[0] = {},
  ): Promise<Harness> => {
    const harness = await openPrewarmHarness();
    harness.putCache();
    harness.apply({ ttlSecondsAfterFinished: 60, ...spec });
    await harness.reconcile();
    harness.report({ ...WHOLE, ...report });
    await harness.reconcile();
    return harness;
  };

  test('is deleted then, with its uid and its version as preconditions', async () => {
    const { reconcile, clock, api, prewarm } = await later({});
    await clock.advance(59_000);
    expect((await reconcile()).outcome).toEqual({ kind: 'requeue', afterMs: 1000, reason: 'Expires' });
    await clock.advance(1000);
    const { uid, resourceVersion } = prewarm().metadata;
    const { writes } = await reconcile();
    expect(writes.map(({ method, body }) => [method, body])).toEqual([
      ['DELETE', { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background' }],
    ]);
    expect(api.get(PATH.prewarm)).toBeUndefined();
    expect((await reconcile()).outcome).toEqual({ kind: 'done' });
  });

  test('is not deleted before its pin ends', async () => {
    const { reconcile, clock, api } = await later({ pin: { ttl: '1h' } }, { pin: 'pinned' });
    await clock.advance(3_599_000);
    await reconcile();
    expect(api.get(PATH.prewarm)).toBeDefined();
    await clock.advance(1000);
    await reconcile();
    expect(api.get(PATH.prewarm)).toBeUndefined();
  });

  test('is never deleted if its pin has no end, but is if the pin was refused', async () => {
    const pinned = await later({ pin: {} }, { pin: 'pinned' });
    await pinned.clock.advance(30 * 24 * 3_600_000);
    expect((await pinned.reconcile()).outcome).toEqual({ kind: 'done' });
    expect(pinned.api.get(PATH.prewarm)).toBeDefined();
    const refused = await later({ pin: {} }, { pin: 'refused', message: 'over maxPinned' });
    expect(refused.events()).toContain('Warning PinRefused');
    await refused.clock.advance(60_000);
    await refused.reconcile();
    expect(refused.api.get(PATH.prewarm)).toBeUndefined();
  });

  test('is deleted too if it has failed, but never with a schedule', async () => {
    const failed = await later({}, { objects: { total: 2, done: 1, failed: 1 } });
    await failed.clock.advance(60_000);
    await failed.reconcile();
    expect(failed.api.get(PATH.prewarm)).toBeUndefined();
    const scheduled = await openPrewarmHarness();
    scheduled.putCache();
    scheduled.apply({ ttlSecondsAfterFinished: 1, schedule: '@hourly' });
    await scheduled.clock.advance(3_600_000);
    await scheduled.reconcile();
    scheduled.report(WHOLE);
    await scheduled.reconcile();
    await scheduled.clock.advance(600_000);
    await scheduled.reconcile();
    expect(scheduled.api.get(PATH.prewarm)).toBeDefined();
  });
});
