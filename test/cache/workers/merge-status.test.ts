import { expect, test } from 'vitest';
import { mergeStatus, type WorkerStatus } from '#cache/workers/merge-status.ts';

const fine: WorkerStatus = {
  ready: true,
  checks: { peers: { ok: true, message: 'listed' }, 'bucket a': { ok: true, message: 'reachable' } },
  runtime: { problems: [] },
  identity: { state: 'ours', message: '' },
  origin: { a: { state: 'reachable', message: '' } },
  originBreakers: {},
  store: { breaker: 'closed', full: false, condition: 'atomic', message: 'atomic', problems: [], hung: 0 },
  capacity: { state: 'ok' },
  peers: { self: '10.0.0.1:8444', staleMs: 1 },
  memory: { budgetBytes: 1 },
};

test('equal ones stay as they are, and their memory is added up', () => {
  expect(mergeStatus([fine, fine])).toEqual({ ...fine, memory: { budgetBytes: 2 } });
});

test.for<[string, Partial<WorkerStatus>]>([
  ['one that is not ready', { ready: false }],
  ['a failing check', { checks: { ...fine.checks, peers: { ok: false, message: 'waiting' } } }],
  ['a check that only one has', { checks: { ...fine.checks, extra: { ok: true, message: 'x' } } }],
  ['a conflict of identity', { identity: { state: 'conflict', message: 'other' } }],
  ['a bucket that failed', { origin: { a: { state: 'failed', message: 'x' } } }],
  ['an open breaker of a bucket', { originBreakers: { a: 'open' } }],
  ['an open breaker of the cachestore', { store: { ...fine.store, breaker: 'open' } }],
  ['a full cachestore', { store: { ...fine.store, full: true } }],
  ['hung file operations', { store: { ...fine.store, hung: 3 } }],
  ['a versioned bucket', { store: { ...fine.store, versioned: true } }],
  ['problems of the runtime file', { runtime: { problems: ['logLevel: x'] } }],
  ['a stale view', { peers: { ...fine.peers, staleMs: 60_000 } }],
])('%s counts, whichever worker has it', ([, changes]) => {
  const bad = { ...fine, ...changes };
  const merged = { ...bad, memory: { budgetBytes: 2 } };
  expect(mergeStatus([fine, bad])).toEqual(merged);
  expect(mergeStatus([bad, fine])).toEqual(merged);
});

test('figures that a worker does not know yet are those of another one', () => {
  const young = {
    ...fine,
    capacity: { state: 'counting' },
    store: { ...fine.store, condition: 'unknown', message: 'not probed' },
    origin: { a: { state: 'unknown', message: '' } },
  };
  const merged = { ...fine, memory: { budgetBytes: 2 } };
  expect(mergeStatus([young, fine])).toEqual(merged);
  expect(mergeStatus([fine, young])).toEqual(merged);
});

test('a state that this release does not know is the worst', () => {
  const strange = { ...fine, identity: { state: 'new', message: '' } };
  expect(mergeStatus([fine, strange]).identity.state).toBe('new');
});
