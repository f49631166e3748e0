import { expect, test } from 'vitest';
import { findProblem } from '#operator/prewarm/problem.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { silentLog } from '#shared/log.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { prewarmOf } from './samples.ts';

const cache = cacheFrom(MINIMAL.replace('buckets: [{name: models}]', 'buckets: [{name: models}, {name: team-*}]'));
const unused = () => Promise.reject(new Error('not expected'));
const api: Api = {
  log: silentLog,
  signal: new AbortController().signal,
  read: unused,
  find: unused,
  list: unused,
  write: unused,
};

test.for([
  ['models', true],
  ['team-red', true],
  ['team-', true],
  ['team', false],
  ['model', false],
  ['models-2', false],
] as const)('bucket %s is served: %s', async ([bucket, isServed]) => {
  const problem = await findProblem(api, prewarmOf({ targets: [{ bucket }] }), cache);
  expect(problem?.reason).toBe(isServed ? undefined : 'BucketNotServed');
});
