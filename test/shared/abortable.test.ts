import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const cancelled = new OrcaError('cancelled', 'the client has disconnected');
const late = new OrcaError('origin_unavailable', 'late');

/** Rejects with the signal's reason when it aborts. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

test('abortable: the promise’s outcome, or the signal’s reason if it aborts first', async () => {
  const disconnect = new AbortController();
  await expect(abortable(Promise.resolve(1), disconnect.signal)).resolves.toBe(1);
  await expect(abortable(Promise.reject(late), disconnect.signal)).rejects.toBe(late);
  const { promise, resolve } = Promise.withResolvers<number>();
  const waiting = abortable(promise, disconnect.signal);
  disconnect.abort(cancelled);
  await expect(waiting).rejects.toBe(cancelled);
  // The promise itself continues.
  resolve(2);
  await expect(promise).resolves.toBe(2);
  await expect(abortable(promise, disconnect.signal)).rejects.toBe(cancelled);
});

test('withDeadline: the call’s signal aborts at the deadline, and a timely call leaves no timer', async () => {
  const clock = fakeClock();
  await expect(
    withDeadline(
      clock,
      100,
      () => late,
      undefined,
      async () => 1,
    ),
  ).resolves.toBe(1);
  expect(clock.pending()).toBe(0);
  const waiting = withDeadline(clock, 100, () => late, undefined, untilAborted);
  waiting.catch(() => {});
  await clock.advance(99);
  expect(clock.pending()).toBe(1);
  await clock.advance(1);
  await expect(waiting).rejects.toBe(late);
});

test('withDeadline: the call’s signal aborts with its parent', async () => {
  const clock = fakeClock();
  const disconnect = new AbortController();
  const waiting = withDeadline(clock, 100, () => late, disconnect.signal, untilAborted);
  disconnect.abort(cancelled);
  await expect(waiting).rejects.toBe(cancelled);
  expect(clock.pending()).toBe(0);
});
