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
const noAbort = new AbortController().signal;

function world() {
  const clock = fakeClock();
  const probed: string[] = [];
  const changed: string[] = [];
  let response = (_ip: string): PodReport | undefined => parsePodReport('{}');
  const reports = openPodReports({
    clock,
    probePod: async (ip) => {
      probed.push(ip);
      return response(ip);
    },
    digest: (all) => JSON.stringify(all),
    pollIntervalMs: () => 60_000,
    onChange: (key) => changed.push(key),
  });
  return { clock, probed, changed, reports, respondWith: (next: typeof response) => void (response = next) };
}

describe('the reports of pods', () => {
  test('come from at most three pods, with the pod’s name', async () => {
    const { reports, probed } = world();
    const found = await reports.get('ml/models', PODS, 0, noAbort);
    expect(found.map(({ pod: name }) => name)).toEqual(['a', 'b', 'c']);
    expect(probed).toEqual(['a', 'b', 'c']);
  });

  test('omit pods without an address and pods that do not respond', async () => {
    const { reports, respondWith } = world();
    respondWith((ip) => (ip === 'b' ? undefined : parsePodReport('{}')));
    const found = await reports.get('ml/models', [pod('x'), ...PODS.slice(0, 2)], 0, noAbort);
    expect(found.map(({ pod: name }) => name)).toEqual(['a']);
  });

  test('are fetched again when they are too old, or for other pods', async () => {
    const { reports, probed, clock } = world();
    await reports.get('ml/models', PODS.slice(0, 1), 4000, noAbort);
    await clock.advance(3999);
    await reports.get('ml/models', PODS.slice(0, 1), 4000, noAbort);
    expect(probed).toEqual(['a']);
    await clock.advance(1);
    await reports.get('ml/models', PODS.slice(0, 1), 4000, noAbort);
    await reports.get('ml/models', PODS.slice(1, 2), 4000, noAbort);
    expect(probed).toEqual(['a', 'a', 'b']);
  });

  test('are fetched with at most twenty concurrent requests', async () => {
    const clock = fakeClock();
    const gate = createGate();
    gate.hold();
    let running = 0;
    let maxRunning = 0;
    const reports = openPodReports({
      clock,
      probePod: async () => {
        running += 1;
        maxRunning = Math.max(maxRunning, running);
        await gate.pass(noAbort);
        running -= 1;
        return undefined;
      },
      digest: () => '',
      pollIntervalMs: () => 60_000,
      onChange: () => {},
    });
    const all = Array.from({ length: 30 }, (_, index) => reports.get(`ml/${index}`, PODS, 0, noAbort));
    await clock.advance(0);
    expect(running).toBe(20);
    gate.release();
    await Promise.all(all);
    expect(maxRunning).toBe(20);
  });

  test('are polled every minute, and a change adds the cache to the queue', async () => {
    const { reports, probed, clock, changed, respondWith } = world();
    const stop = new AbortController();
    await reports.get('ml/models', PODS.slice(0, 1), 0, noAbort);
    await reports.get('ml/deleted', PODS.slice(1, 2), 0, noAbort);
    reports.forget('ml/deleted');
    const ended = reports.run(stop.signal);
    onTestFinished(async () => {
      stop.abort();
      await ended;
    });
    await clock.advance(185_000);
    expect(probed).toEqual(['a', 'b', 'a', 'a', 'a']);
    expect(changed).toEqual([]);
    respondWith(() => parsePodReport('{"store": {"full": true}}'));
    await clock.advance(60_000);
    expect(changed).toEqual(['ml/models']);
    await clock.advance(60_000);
    expect(changed).toEqual(['ml/models']);
  });
});

describe('a report', () => {
  test('is parsed in the format that pods write', () => {
    const text = JSON.stringify({
      version: '0.1.0',
      checks: { peers: { ok: true, message: 'listed' }, cachestore: { ok: false, message: 'no such bucket' } },
      identity: { state: 'conflict', message: 'registered for http://other' },
      runtime: { problems: ['logLevel: is not a level'] },
      origin: { models: { state: 'failed', message: 'refused' } },
      originBreakers: { 'acme-models': 'open' },
      store: {
        breaker: 'closed',
        full: false,
        condition: 'racy',
        message: 'racy: …',
        problems: ['delete'],
        versioned: true,
        hung: 2,
      },
      capacity: {
        state: 'evicting',
        usedBytes: 900,
        chunks: 3,
        pinnedBytes: 100,
        capacityBytes: 1000,
        foreignBytes: 7,
        byAge: [],
        oldestReadMinute: 2,
        lastSweepMs: 180_000,
        oldestSweepMs: 150_000,
        coveredShards: 256,
        blocked: 'recent',
        evictionDenied: 'AccessDenied',
      },
      workers: [
        { index: 0, pid: 7, state: 'running', restarts: 0, ready: true },
        { index: 1, pid: 9, state: 'running', restarts: 2, ready: false },
        { index: 'two', restarts: 1 },
        null,
      ],
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
        hung: 2,
      },
      identityConflict: 'registered for http://other',
      capacity: {
        state: 'evicting',
        usedBytes: 900,
        chunks: 3,
        pinnedBytes: 100,
        capacityBytes: 1000,
        foreignBytes: 7,
        oldestReadMs: 120_000,
        lastSweepMs: 180_000,
        oldestSweepMs: 150_000,
        blocked: 'recent',
        evictionDenied: 'AccessDenied',
      },
      runtimeProblems: ['logLevel: is not a level'],
      workers: [
        { index: 0, restarts: 0 },
        { index: 1, restarts: 2 },
      ],
    });
  });

  test.for(['problems', 'mistakes'])('with runtime problems in the field %s is parsed', (field) => {
    expect(parsePodReport(JSON.stringify({ runtime: { [field]: ['a'] } })).runtimeProblems).toEqual(['a']);
  });

  test('from another version is parsed as far as possible', () => {
    expect(parsePodReport('{"checks": [], "origin": null, "store": 3, "news": true}')).toEqual({
      failing: [],
      buckets: undefined,
      brokenBuckets: [],
      store: undefined,
      identityConflict: undefined,
      capacity: undefined,
      runtimeProblems: undefined,
      workers: [],
    });
  });

  test('with the required figures of the cachestore only, has the others at rest', () => {
    const text = JSON.stringify({ capacity: { usedBytes: 5, chunks: 1, capacityBytes: null, lastSweepMs: 'now' } });
    expect(parsePodReport(text).capacity).toEqual({
      state: '',
      usedBytes: 5,
      chunks: 1,
      pinnedBytes: 0,
      capacityBytes: undefined,
      foreignBytes: 0,
      oldestReadMs: undefined,
      lastSweepMs: undefined,
      oldestSweepMs: undefined,
      blocked: '',
      evictionDenied: '',
    });
  });

  test.for([
    ['recent', 'recent', ''],
    ['the cachestore does not permit to list', '', 'the cachestore does not permit to list'],
  ] as const)('that is blocked by "%s" distinguishes obstacles and refusals', ([blocked, obstacle, refusal]) => {
    const report = parsePodReport(JSON.stringify({ capacity: { usedBytes: 5, chunks: 1, blocked } }));
    expect(report.capacity).toMatchObject({ blocked: obstacle, evictionDenied: refusal });
  });

  test.for([
    '[]',
    '{"chunks": 1}',
    '{"chunks": 1, "usedBytes": -1}',
    '{"chunks": 1, "usedBytes": 1e300}',
    '{"chunks": 1.5, "usedBytes": 1}',
    '{"chunks": "1", "usedBytes": 1}',
  ])('without usable figures of the cachestore has none of them: %s', (capacity) => {
    expect(parsePodReport(`{"capacity": ${capacity}}`).capacity).toBeUndefined();
  });
});
