import { describe, expect, onTestFinished, test } from 'vitest';
import type { LivePod, PodReport } from '#operator/api/observed.ts';
import { parsePodReport } from '#operator/reconcile/parse-pod-report.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { createGate } from '#test/support/gate.ts';

const pod = (name: string, podIP?: string): LivePod => ({
  metadata: { name, uid: name, resourceVersion: '1' },
  status: podIP === undefined ? {} : { podIP },
});
const PODS = ['a', 'b', 'c', 'd', 'e'].map((name) => pod(name, name));
const never = new AbortController().signal;

function world() {
  const clock = fakeClock();
  const asked: string[] = [];
  const news: string[] = [];
  let answer = (_ip: string): PodReport | undefined => parsePodReport('{}');
  const reports = openPodReports({
    clock,
    probePod: async (ip) => {
      asked.push(ip);
      return answer(ip);
    },
    digest: (all) => JSON.stringify(all),
    pollIntervalMs: () => 60_000,
    onChange: (key) => news.push(key),
  });
  return { clock, asked, news, reports, answering: (next: typeof answer) => void (answer = next) };
}

describe('the reports of pods', () => {
  test('come from three pods at most, each by its name', async () => {
    const { reports, asked } = world();
    const got = await reports.of('ml/models', PODS, 0, never);
    expect(got.map(({ pod: name }) => name)).toEqual(['a', 'b', 'c']);
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  test('are not of pods that have no address yet, or don’t answer', async () => {
    const { reports, answering } = world();
    answering((ip) => (ip === 'b' ? undefined : parsePodReport('{}')));
    const got = await reports.of('ml/models', [pod('x'), ...PODS.slice(0, 2)], 0, never);
    expect(got.map(({ pod: name }) => name)).toEqual(['a']);
  });

  test('are asked for again when they are too old, or other pods are there', async () => {
    const { reports, asked, clock } = world();
    await reports.of('ml/models', PODS.slice(0, 1), 4000, never);
    await clock.advance(3999);
    await reports.of('ml/models', PODS.slice(0, 1), 4000, never);
    expect(asked).toEqual(['a']);
    await clock.advance(1);
    await reports.of('ml/models', PODS.slice(0, 1), 4000, never);
    await reports.of('ml/models', PODS.slice(1, 2), 4000, never);
    expect(asked).toEqual(['a', 'a', 'b']);
  });

  test('are asked for at most twenty at once', async () => {
    const clock = fakeClock();
    const gate = createGate();
    gate.hold();
    let running = 0;
    let most = 0;
    const reports = openPodReports({
      clock,
      probePod: async () => {
        running += 1;
        most = Math.max(most, running);
        await gate.pass(never);
        running -= 1;
        return undefined;
      },
      digest: () => '',
      pollIntervalMs: () => 60_000,
      onChange: () => {},
    });
    const all = Array.from({ length: 30 }, (_, index) => reports.of(`ml/${index}`, PODS, 0, never));
    await clock.advance(0);
    expect(running).toBe(20);
    gate.release();
    await Promise.all(all);
    expect(most).toBe(20);
  });

  test('are asked for every minute of those who are settled, and what is new brings their cache to the queue', async () => {
    const { reports, asked, clock, news, answering } = world();
    const stop = new AbortController();
    await reports.of('ml/models', PODS.slice(0, 1), 0, never);
    await reports.of('ml/gone', PODS.slice(1, 2), 0, never);
    reports.forget('ml/gone');
    const ended = reports.run(stop.signal);
    onTestFinished(async () => {
      stop.abort();
      await ended;
    });
    await clock.advance(185_000);
    expect(asked).toEqual(['a', 'b', 'a', 'a', 'a']);
    expect(news).toEqual([]);
    answering(() => parsePodReport('{"store": {"full": true}}'));
    await clock.advance(60_000);
    expect(news).toEqual(['ml/models']);
    await clock.advance(60_000);
    expect(news).toEqual(['ml/models']);
  });
});

describe('a report', () => {
  test('is read as pods write it', () => {
    const text = JSON.stringify({
      version: '0.1.0',
      checks: { peers: { ok: true, message: 'listed' }, cachestore: { ok: false, message: 'no such bucket' } },
      identity: { state: 'conflict', message: 'registered for http://other' },
      runtime: { mistakes: ['logLevel: is no level'] },
      origin: { models: { state: 'failed', message: 'refused' } },
      originBreakers: { 'acme-models': 'open' },
      store: {
        breaker: 'closed',
        full: false,
        condition: 'racy',
        message: 'racy: …',
        problems: ['delete'],
        versioned: true,
      },
    });
    expect(parsePodReport(text)).toEqual({
      failing: ['cachestore: no such bucket'],
      buckets: [{ name: 'models', state: 'failed', message: 'refused' }],
      brokenBuckets: ['acme-models'],
      store: {
        breaker: 'closed',
        full: false,
        condition: 'racy',
        message: 'racy: …',
        problems: ['delete'],
        versioned: true,
      },
      identityConflict: 'registered for http://other',
      runtimeProblems: ['logLevel: is no level'],
    });
  });

  test('of another version is read as far as it goes', () => {
    expect(parsePodReport('{"checks": [], "origin": null, "store": 3, "news": true}')).toEqual({
      failing: [],
      buckets: undefined,
      brokenBuckets: [],
      store: undefined,
      identityConflict: undefined,
      runtimeProblems: undefined,
    });
  });
});
