import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { LeaseQueue, NEW_WAIT_MS, STARTED_WAIT_MS } from '#cache/engine/memory/lease-queue.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;

function open() {
  const clock = fakeClock();
  const failures: number[] = [];
  const queue = new LeaseQueue(clock, () => failures.push(clock.now()));
  const granted: string[] = [];
  const wait = (name: string, costBytes: number, demand: 'started' | 'new', signal = NEVER) =>
    queue.wait({ segmentBytes: 1, costBytes, purpose: 'window' }, demand, signal).then(() => void granted.push(name));
  /** Grants up to `bytes`. */
  const admit = async (bytes: number) => {
    queue.admit(({ costBytes }) => (costBytes > bytes ? false : ((bytes -= costBytes), true)));
    await Promise.resolve();
    await Promise.resolve();
  };
  return { clock, queue, failures, granted, wait, admit };
}

test('grants in order within a class, started responses before new requests', async () => {
  const { queue, granted, wait, admit } = open();
  for (const [name, demand] of [
    ['new 1', 'new'],
    ['started 1', 'started'],
    ['new 2', 'new'],
    ['started 2', 'started'],
  ] as const)
    void wait(name, 2, demand);
  expect([queue.count('started'), queue.count('new'), queue.isEmpty]).toEqual([2, 2, false]);
  await admit(6);
  expect(granted).toEqual(['started 1', 'started 2', 'new 1']);
});

test('a large need at the head holds back smaller ones behind it, and new requests', async () => {
  const { granted, wait, admit } = open();
  void wait('large', 5, 'started');
  void wait('small', 1, 'started');
  void wait('new', 1, 'new');
  await admit(4);
  expect(granted).toEqual([]);
});

test('a new request queues behind both classes, a started response only behind its own', () => {
  const { queue, wait } = open();
  expect([queue.mustQueue('new'), queue.mustQueue('started')]).toEqual([false, false]);
  void wait('new', 1, 'new');
  expect([queue.mustQueue('new'), queue.mustQueue('started')]).toEqual([true, false]);
  void wait('started', 1, 'started');
  expect(queue.mustQueue('started')).toBe(true);
});

test.for([
  ['new', NEW_WAIT_MS],
  ['started', STARTED_WAIT_MS],
] as const)('a caller of the class %s waits for at most %i ms', async ([demand, limitMs]) => {
  const { clock, queue, failures, wait } = open();
  const waiting = wait('late', 1, demand);
  waiting.catch(() => {});
  await clock.advance(limitMs - 1);
  expect(queue.count(demand)).toBe(1);
  await clock.advance(1);
  await expect(waiting).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
  expect([queue.isEmpty, failures]).toEqual([true, [clock.now()]]);
});

test('an aborted caller leaves the queue, with the reason of its signal', async () => {
  const { queue, failures, wait } = open();
  const client = new AbortController();
  const waiting = wait('aborted', 1, 'new', client.signal);
  client.abort(new OrcaError('cancelled', 'the client closed the connection'));
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  expect([queue.isEmpty, failures.length]).toEqual([true, 1]);
});
