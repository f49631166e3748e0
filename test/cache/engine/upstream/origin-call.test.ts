import { expect, test } from 'vitest';
import { callOrigin } from '#cache/engine/upstream/origin-call.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';
import { countingObserver, emptyCounts } from '#test/support/engines.ts';

test('a driver that ignores its signal keeps neither the caller nor the slot', async () => {
  const clock = fakeClock();
  const limiter = new OriginLimiter({ targetGlobal: () => 1, replicas: () => 1, queueTimeoutMs: 5_000, clock });
  const retry = { attempts: 3, backoffInitialMs: 100, backoffMaxMs: 1_000, maxTotalDurationMs: 5_000 };
  const context = {
    origin: fakeOrigin(),
    limiter,
    clock,
    observer: countingObserver(emptyCounts()),
    random: () => 0.5,
    retry,
  };
  const call = { operation: 'head', bucket: 'bucket' } as const;
  const failure = callOrigin(context, call, () => new Promise(() => {})).catch((error: unknown) => error);
  await clock.advance(59_000);
  expect(limiter.running).toBe(1);
  await clock.advance(1_000);
  expect(await failure).toMatchObject({ code: 'origin_unavailable' });
  expect(limiter.running).toBe(0);
});
