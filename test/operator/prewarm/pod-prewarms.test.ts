import { expect, test } from 'vitest';
import type { LivePod } from '#operator/api/observed.ts';
import { openPodPrewarms } from '#operator/prewarm/pod-prewarms.ts';
import type { Api } from '#operator/reconcile/api.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { silentLog } from '#shared/log.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { reportOf, UID } from './samples.ts';

const cache = cacheFrom(MINIMAL);

function pod(name: string, ready = true): LivePod {
  return {
    metadata: { name, uid: name, resourceVersion: '1' },
    status: { podIP: name, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

/** `reports`: by pod; an Error is a pod that does not answer. */
function open(pods: readonly LivePod[], reports: Record<string, readonly PrewarmReport[] | Error>) {
  const clock = fakeClock();
  const probed: string[] = [];
  const finder = openPodPrewarms({
    clock,
    async probe(podIp) {
      probed.push(podIp);
      const answer = reports[podIp] ?? [];
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const api: Api = {
    log: silentLog,
    signal: new AbortController().signal,
    read: () => Promise.reject(new Error('not expected')),
    find: () => Promise.reject(new Error('not expected')),
    write: () => Promise.reject(new Error('not expected')),
    list: async <T>() => pods as unknown as readonly T[],
  };
  return { clock, probed, find: (uid = UID, run = 1) => finder.find(api, cache, uid, run) };
}

test('of several reports about the run, that of the replica that is further counts', async () => {
  const behind = reportOf({ objects: { total: 4, done: 1, failed: 0 } });
  const ahead = reportOf({ objects: { total: 4, done: 1, failed: 1 } });
  const { find } = open([pod('a'), pod('b'), pod('c')], { a: [behind], b: [ahead], c: new Error('silent') });
  expect(await find()).toEqual({ pods: 3, report: ahead });
  const finished = reportOf({ state: 'finished' });
  expect((await open([pod('a'), pod('b')], { a: [ahead], b: [finished] }).find()).report).toEqual(finished);
});

test('reports about another prewarm or another run do not count', async () => {
  const { find } = open([pod('a')], { a: [reportOf({ run: 2 }), reportOf({ uid: 'other' })] });
  expect((await find()).report).toBeUndefined();
  expect((await find(UID, 2)).report?.run).toBe(2);
});

test('a pod is queried at most about every second, for all prewarms together', async () => {
  const { find, clock, probed } = open([pod('a')], { a: [reportOf()] });
  await find();
  await find('other');
  await clock.advance(899);
  await find();
  expect(probed).toEqual(['a']);
  await clock.advance(1);
  await find();
  expect(probed).toEqual(['a', 'a']);
});

test('without a ready pod, those that are not ready are queried', async () => {
  const unready = open([pod('a', false)], { a: [reportOf()] });
  expect((await unready.find()).report).toBeDefined();
  const mixed = open([pod('a', false), pod('b')], { a: [reportOf()] });
  expect(await mixed.find()).toEqual({ pods: 1, report: undefined });
});
