import { describe, expect, test } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

describe.for([
  ['the system', systemClock],
  ['the fake', fakeClock()],
] as const)('%s clock', ([, clock]) => {
  test('rejects a sleep with the reason of its signal, before and during it', async () => {
    await expect(clock.sleep(60_000, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    const stop = new AbortController();
    const asleep = clock.sleep(60_000, stop.signal);
    stop.abort(new Error('during'));
    await expect(asleep).rejects.toThrow('during');
  });

  test('returns the time since the epoch', () => {
    expect(clock.now()).toBeGreaterThan(Date.UTC(2020, 0, 1));
    expect(clock.date()).toBeGreaterThan(Date.UTC(2020, 0, 1));
  });
});

describe('the fake clock', () => {
  test('runs timers at their due time, in order', async () => {
    const clock = fakeClock(0);
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b ${clock.now()}`));
    clock.after(10, () => {
      seen.push(`a ${clock.now()}`);
      clock.after(5, () => seen.push(`nested ${clock.now()}`));
    });
    clock.after(30, () => seen.push('late'));
    await clock.advance(20);
    expect(seen).toEqual(['a 10', 'nested 15', 'b 20']);
    expect(clock.pending()).toBe(1);
  });

  test('runs continuations of a timer before the next timer', async () => {
    const clock = fakeClock(0);
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(10);
        seen.push(clock.now());
        if (seen.length === 3) return;
      }
    };
    const done = loop();
    await clock.advance(30);
    await done;
    expect(seen).toEqual([10, 20, 30]);
  });

  test('does not run a cancelled timer', async () => {
    const clock = fakeClock(0);
    let called = false;
    const cancel = clock.after(10, () => {
      called = true;
    });
    cancel();
    await clock.advance(100);
    expect(called).toBe(false);
  });
});
