import { describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { Records } from '#cache/prewarm/records.ts';
import type { PrewarmRun } from '#cache/prewarm/resource.ts';
import { Walk, type Counted } from '#cache/prewarm/walk.ts';
import { openLog } from '#shared/log.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { CHUNK_BYTES, fakeWarm } from '#test/support/fake-warm.ts';

const UID = '6d0c8b7e-0000-4000-8000-000000000001';
const RUN: PrewarmRun = {
  uid: UID,
  name: 'llama',
  run: 1,
  targets: [{ kind: 'prefix', bucket: 'models', prefix: 'llama/', include: [], exclude: [] }],
  maxBytesPerSecond: undefined,
  parallelism: 4,
  pin: undefined,
};

function world() {
  const clock = fakeClock();
  const store = fakeChunkStore({ clock });
  const records = new Records({ originId: 'test', store, clock });
  const warm = fakeWarm();
  const counted: Counted = { objectsDone: 0, objectsFailed: 0, originBytes: 0 };
  const sums = counted as { -readonly [K in keyof Counted]: number };
  const start = async (run: Partial<PrewarmRun> = {}, self = 'a') => {
    const stop = new AbortController();
    const walk = new Walk({
      run: { ...RUN, ...run },
      resumed: await records.read(UID, stop.signal),
      cache: 'ml/models',
      self: () => self,
      warm,
      sources: {
        list: (...args) => warm.list(...args),
        read: () => Promise.reject(new OrcaError('not_found', 'no manifest')),
        client: { request: () => Promise.reject(new Error('no API server')) },
        namespace: 'ml',
      },
      records,
      pin: undefined,
      clock,
      random: () => 0.5,
      log: openLog({ name: 'test', level: 'error', write: () => {} }),
      count({ objectsDone, objectsFailed, originBytes }) {
        sums.objectsDone += objectsDone;
        sums.objectsFailed += objectsFailed;
        sums.originBytes += originBytes;
      },
    });
    const outcome = walk.walk(stop.signal).then(
      () => 'finished',
      () => 'stopped',
    );
    return {
      walk,
      outcome,
      stop: async () => {
        stop.abort(new Error('stopped'));
        await clock.advance(0);
        return outcome;
      },
      /** Until it is finished. */
      finished: async (limitMs = 120_000) => {
        for (let waitedMs = 0; waitedMs < limitMs && walk.report().state === 'running'; waitedMs += 100)
          await clock.advance(100);
        expect(walk.report().state).toBe('finished');
        expect(await outcome).toBe('finished');
        return walk.report();
      },
    };
  };
  return { clock, store, records, warm, counted, start };
}

describe('a walk', () => {
  it('warms what is not stored, and skips what is', async () => {
    const { warm, records, counted, start } = world();
    warm.put('llama/a', 250);
    warm.put('llama/b', 0);
    warm.put('llama/c', 100);
    warm.put('other', 70);
    warm.stored.add('llama/a v1 1');
    const report = await (await start()).finished();
    expect(report).toMatchObject({
      listed: true,
      objects: { total: 3, done: 3, failed: 0 },
      bytes: { total: 350, done: 350, fromOrigin: 250, alreadyStored: 100 },
      failures: [],
      message: '',
    });
    expect(warm.originBytes).toBe(250);
    expect(counted).toEqual({ objectsDone: 3, objectsFailed: 0, originBytes: 250 });
    expect(await records.read(UID, AbortSignal.timeout(1000))).toMatchObject({ state: 'finished', target: 1 });
  });

  it('lists page by page, and never has more objects under way than its parallelism', async () => {
    const { warm, clock, start } = world();
    for (let at = 0; at < 2_500; at++) warm.put(`llama/${at}`, CHUNK_BYTES);
    warm.before = () => clock.sleep(1);
    const { finished } = await start({ parallelism: 3 });
    const report = await finished();
    expect(report.objects).toEqual({ total: 2_500, done: 2_500, failed: 0 });
    // Once to count, once to walk.
    expect(warm.calls.list).toBe(6);
    expect(warm.running).toMatchObject({ maxChunks: 3, maxResolves: 3 });
  });

  it('knows what there is to do before it is done', async () => {
    const { warm, clock, start } = world();
    for (let at = 0; at < 2_500; at++) warm.put(`llama/${at}`, CHUNK_BYTES);
    warm.before = async (call, _key, signal) => {
      if (call === 'chunk') await clock.sleep(1_000, signal);
    };
    const { walk, stop } = await start();
    await clock.advance(1_500);
    expect(walk.report()).toMatchObject({
      state: 'running',
      listed: true,
      objects: { total: 2_500, done: 4 },
      bytes: { total: 250_000, done: 400 },
    });
    await stop();
  });

  it('warms only names that match its globs', async () => {
    const { warm, start } = world();
    for (const key of ['llama/a.bin', 'llama/x/b.bin', 'llama/c.txt', 'llama/skip.bin']) warm.put(key, 10);
    const targets = [
      { kind: 'prefix', bucket: 'models', prefix: 'llama/', include: ['**/*.bin'], exclude: ['skip.*'] } as const,
    ];
    const report = await (await start({ targets })).finished();
    expect(report.objects.done).toBe(2);
    expect([...warm.stored].toSorted()).toEqual(['llama/a.bin v1 0', 'llama/x/b.bin v1 0']);
  });

  it('counts an object that fails after three attempts, and warms the other objects', async () => {
    const { warm, start } = world();
    const attempts: string[] = [];
    for (const key of ['llama/a', 'llama/b', 'llama/c']) warm.put(key, 100);
    warm.before = async (call, key) => {
      if (call === 'resolve') attempts.push(key);
      if (call === 'resolve' && key === 'llama/a') throw new OrcaError('object_archived', 'restore it first');
    };
    const report = await (await start({ parallelism: 1 })).finished();
    expect(report.objects).toEqual({ total: 3, done: 2, failed: 1 });
    expect(report.bytes).toEqual({ total: 300, done: 200, fromOrigin: 200, alreadyStored: 0 });
    expect(report.failures).toEqual([{ key: 'llama/a', reason: 'object_archived' }]);
    expect(attempts).toEqual(['llama/a', 'llama/b', 'llama/c', 'llama/a', 'llama/a']);
  });

  it('warms an object whose second attempt succeeds, and counts each of its bytes once', async () => {
    const { warm, start } = world();
    warm.put('llama/a', 300);
    let failures = 0;
    warm.before = async (call) => {
      if (call === 'chunk' && warm.originBytes === 200 && failures++ === 0) throw new OrcaError('not_found', 'deleted');
    };
    const report = await (await start({ parallelism: 1 })).finished();
    expect(report.objects).toEqual({ total: 1, done: 1, failed: 0 });
    expect(report.bytes).toEqual({ total: 300, done: 300, fromOrigin: 300, alreadyStored: 0 });
    expect(report.failures).toEqual([]);
  });

  it('warms the new version of an object that changes meanwhile', async () => {
    const { warm, start } = world();
    warm.put('llama/a', 200);
    warm.before = async (call) => {
      if (call === 'chunk' && warm.originBytes === 100) warm.put('llama/a', 300, 'v2');
    };
    const report = await (await start({ parallelism: 1 })).finished();
    expect(report.bytes).toMatchObject({ total: 300, done: 300 });
    expect([...warm.stored].filter((id) => id.includes('v2'))).toHaveLength(3);
  });

  it('waits while the origin is down, reports it, and fails no object for it', async () => {
    const { warm, clock, start } = world();
    for (let at = 0; at < 20; at++) warm.put(`llama/${at}`, 100);
    let isDown = true;
    warm.before = async (call) => {
      if (isDown && call === 'chunk') throw new OrcaError('origin_unavailable', 'the origin is down');
    };
    const { walk, finished } = await start();
    await clock.advance(10 * 60_000);
    expect(walk.report()).toMatchObject({
      state: 'running',
      objects: { done: 0, failed: 0 },
      message: 'waiting for origin_unavailable: the origin is down',
    });
    isDown = false;
    expect(await finished()).toMatchObject({ objects: { done: 20, failed: 0 }, message: '' });
  });

  it('continues a list that an outage has interrupted', async () => {
    const { warm, start } = world();
    for (let at = 0; at < 1_500; at++) warm.put(`llama/${at}`, 0);
    let lists = 0;
    warm.before = async (call) => {
      if (call === 'list' && (++lists === 3 || lists === 4))
        throw new OrcaError('origin_unavailable', 'the origin is down');
    };
    expect((await (await start()).finished()).objects).toEqual({ total: 1_500, done: 1_500, failed: 0 });
  });

  it('gives up an object for which the origin always fails while it answers for others', async () => {
    const { warm, start } = world();
    for (let at = 0; at < 50; at++) warm.put(`llama/${at}`, 100);
    warm.before = async (call, key) => {
      if (call === 'chunk' && key === 'llama/7') throw new OrcaError('origin_unavailable', '500');
    };
    const report = await (await start({ maxBytesPerSecond: 100 })).finished(30 * 60_000);
    expect(report.objects).toEqual({ total: 50, done: 49, failed: 1 });
    expect(report.failures).toEqual([{ key: 'llama/7', reason: 'origin_unavailable' }]);
  });

  it('counts a target that cannot be listed as failed, and walks the other targets', async () => {
    const { warm, start } = world();
    warm.put('llama/a', 100);
    warm.before = async (call, key) => {
      if (call === 'list' && key === 'secret/') throw new OrcaError('access_denied', 'denied');
    };
    const prefix = { kind: 'prefix', bucket: 'models', include: [], exclude: [] } as const;
    const report = await (
      await start({
        targets: [
          { ...prefix, prefix: 'secret/' },
          { ...prefix, prefix: 'llama/' },
        ],
      })
    ).finished();
    expect(report.objects).toEqual({ total: 2, done: 1, failed: 1 });
    expect(report.failures).toEqual([{ key: 's3://models/secret/', reason: 'access_denied' }]);
  });
});

describe('a walk that is stopped', () => {
  it('is continued by another walker, and the sums are those of one walk', async () => {
    const { warm, clock, records, start } = world();
    for (let at = 0; at < 40; at++) warm.put(`llama/${String(at).padStart(2, '0')}`, 200);
    const first = await start({ maxBytesPerSecond: 1000 });
    await clock.advance(3_000);
    expect(await first.stop()).toBe('stopped');
    const record = await records.read(UID, AbortSignal.timeout(1000));
    expect(record).toMatchObject({ state: 'running', writer: 'a', cache: 'ml/models' });
    const before = warm.originBytes;
    expect(before).toBeGreaterThan(2_000);
    const report = await (await start({ maxBytesPerSecond: 1000 }, 'b')).finished();
    expect(report).toMatchObject({
      objects: { total: 40, done: 40, failed: 0 },
      bytes: { total: 8_000, done: 8_000, fromOrigin: 8_000, alreadyStored: 0 },
    });
    expect(warm.originBytes).toBe(8_000);
  });

  it('keeps the attempts of the objects that failed', async () => {
    const { warm, clock, start } = world();
    const attempts: string[] = [];
    warm.put('llama/a', 100);
    warm.put('llama/b', 100);
    warm.before = async (call, key) => {
      if (call !== 'resolve') return;
      attempts.push(key);
      if (key === 'llama/a') throw new OrcaError('access_denied', 'denied');
    };
    const first = await start();
    await clock.advance(1_000);
    await first.stop();
    expect(attempts.filter((key) => key === 'llama/a')).toHaveLength(2);
    const report = await (await start({}, 'b')).finished();
    expect(report).toMatchObject({ objects: { total: 2, done: 1, failed: 1 }, bytes: { total: 200, done: 100 } });
    expect(attempts.filter((key) => key === 'llama/a')).toHaveLength(3);
  });

  it('writes nothing once its resource is deleted', async () => {
    const { warm, clock, store, start } = world();
    for (let at = 0; at < 40; at++) warm.put(`llama/${at}`, 200);
    const { walk, stop } = await start({ maxBytesPerSecond: 1000 });
    await clock.advance(3_000);
    const [name = ''] = store.smallNames();
    await store.remove([name], { signal: AbortSignal.timeout(1000) });
    walk.drop();
    await stop();
    expect(store.smallNames()).toEqual([]);
  });
});

it('the rate counts only what was read from the origin for the run', async () => {
  const { warm, start } = world();
  for (let at = 0; at < 100; at++) warm.put(`llama/${at}`, 100);
  // Clients read the same objects: their fills have the bytes.
  const fetched = warm.chunk.bind(warm);
  warm.chunk = async (...call) => {
    await fetched(...call);
    return { originBytes: 0 };
  };
  const { finished } = await start({ maxBytesPerSecond: 100 });
  expect((await finished(2_000)).bytes).toMatchObject({ done: 10_000, fromOrigin: 0, alreadyStored: 10_000 });
});

it('a changed rate and parallelism apply to a running walk', async () => {
  const { warm, clock, start } = world();
  for (let at = 0; at < 100; at++) warm.put(`llama/${at}`, 100);
  warm.before = () => clock.sleep(10);
  const { walk, finished } = await start({ maxBytesPerSecond: 100, parallelism: 1 });
  await clock.advance(5_000);
  expect(warm.originBytes).toBeLessThanOrEqual(700);
  walk.update({ ...RUN, maxBytesPerSecond: undefined, parallelism: 8 });
  await finished(2_000);
  expect(warm.running.maxChunks).toBe(8);
});
