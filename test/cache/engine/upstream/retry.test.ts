import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { withRetry } from '#cache/engine/upstream/retry.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { whileTimePasses } from '#test/support/engines.ts';

const settings = { attempts: 3, backoffInitialMs: 100, backoffMaxMs: 2_000, maxTotalDurationMs: 5_000 };
const temporary = new OrcaError('origin_unavailable', 'later');

function run(attempt: () => Promise<string>, more: { progressed?: () => boolean } = {}) {
  const clock = fakeClock();
  const signal = new AbortController().signal;
  return whileTimePasses(clock, withRetry({ settings, clock, random: () => 0.99, signal, ...more }, attempt));
}

test('retries temporary failures, up to its number of attempts', async () => {
  let tries = 0;
  await expect(run(async () => (++tries < 3 ? Promise.reject(temporary) : 'ok'))).resolves.toBe('ok');
  tries = -100;
  await expect(run(async () => (++tries < 3 ? Promise.reject(temporary) : 'ok'))).rejects.toBe(temporary);
  expect(tries).toBe(-97);
});

test.for(['not_found', 'object_changed', 'origin_denied', 'internal', 'overloaded'] as const)(
  '%s is not retried',
  async (code) => {
    let tries = 0;
    const attempt = () => {
      tries++;
      return Promise.reject(new OrcaError(code, 'no'));
    };
    await expect(run(attempt)).rejects.toMatchObject({ code });
    expect(tries).toBe(1);
  },
);

test('progress resets the count of attempts', async () => {
  let tries = 0;
  const progressed = () => tries < 5;
  await expect(run(async () => (++tries < 6 ? Promise.reject(temporary) : 'ok'), { progressed })).resolves.toBe('ok');
});

test.for([
  [1_500, [0, 1_500, 3_000]],
  [2_001, [0]],
] as const)('with a Retry-After of %i ms, attempts start at %o ms', async ([retryAfterMs, expected]) => {
  const clock = fakeClock();
  const startMs = clock.now();
  const startedMs: number[] = [];
  const throttled = new OrcaError('origin_throttled', 'slow down', { retryAfterMs });
  const ended = withRetry({ settings, clock, random: () => 0, signal: new AbortController().signal }, () => {
    startedMs.push(clock.now() - startMs);
    return Promise.reject(throttled);
  });
  await expect(whileTimePasses(clock, ended)).rejects.toBe(throttled);
  expect(startedMs).toEqual(expected);
});
