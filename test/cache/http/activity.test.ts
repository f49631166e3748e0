import { expect, test } from 'vitest';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { openActivity } from '#cache/http/activity.ts';
import { openMetrics } from '#cache/http/metrics.ts';
import { SlowRequests } from '#cache/http/slow-requests.ts';
import { openLog } from '#shared/log.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('the window covers the last five minutes, the totals everything', async () => {
  const log = openLog({ name: 'test', level: 'error' });
  const { edge, engine, registry, slow } = openMetrics({ buckets: new BucketTable([]), costs: undefined, log });
  const clock = fakeClock();
  const stop = new AbortController();
  const activity = openActivity({ registry, slow, clock });
  edge.request('GET', 200, 'MISS', 900, 'models', 'slow');
  edge.served('fill', 1_000, 'models');
  engine.originBytes(1_000, { bucket: 'models' });
  const running = activity.run(stop.signal);
  await clock.advance(10 * 60_000);
  edge.request('GET', 200, 'HIT', 2, 'models', 'fast');
  edge.request('GET', 503, 'NONE', 30, 'models', 'refused');
  edge.served('memory', 50, 'models');
  const report = await activity.report();
  expect(report.windowMs).toBe(5 * 60_000);
  expect(report.totals).toMatchObject({ requests: 3, servedBytes: 1_050, originBytes: 1_000, serverErrors: 1 });
  expect(report.window).toMatchObject({
    requests: 2,
    byCache: { HIT: 1, MISS: 0, NONE: 1 },
    serverErrors: 1,
    clientErrors: 0,
    servedBytes: 50,
    bySource: { memory: 50, fill: 0 },
    originBytes: 0,
  });
  expect(report.slowest.map(({ key }) => key)).toEqual(['refused', 'fast']);
  stop.abort();
  await running;
});

test('the ten slowest of two windows are kept, with keys of a limited length', () => {
  const slow = new SlowRequests();
  for (let ms = 1; ms <= 100; ms++) slow.note(ms, 'GET', 200, 'HIT', 'b', 'k'.repeat(2_000));
  slow.rotate();
  slow.note(95.5, 'GET', 200, 'HIT', 'b', 'new');
  expect(slow.list().map(({ durationMs }) => durationMs)).toEqual([100, 99, 98, 97, 96, 95.5, 95, 94, 93, 92]);
  expect(slow.list()[0]?.key).toHaveLength(256);
  slow.rotate();
  expect(slow.list().map(({ key }) => key)).toEqual(['new']);
});
