/** A clock that only tests advance. Timers run in the order they are due; after each, the promises that it resolves settle. */
import { systemClock, type Clock } from '#shared/clock.ts';

export interface FakeClock extends Clock {
  /** Advances time by `ms`, and runs in order every timer that becomes due, including timers that other timers set. */
  advance(ms: number): Promise<void>;
  /** Advances time without running any timer, as if the process had been stopped: timers are late then. */
  stall(ms: number): void;
  /** The number of timers that are set. */
  pending(): number;
}

/** The system clock, on which sleeping takes no time: for the pauses between two attempts. */
export const sleeplessClock: Clock = { ...systemClock, sleep: async (_ms, signal) => signal?.throwIfAborted() };

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the event loop after each timer: enough for a chain of promises, and for loopback I/O that is ready. */
const TURNS_AFTER_TIMER = 3;

export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let nowMs = startMs;
  let order = 0;
  const timers = new Set<Timer>();

  function after(ms: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: nowMs + Math.max(ms, 0), order: order++, callback };
    timers.add(timer);
    return () => timers.delete(timer);
  }

  function nextDue(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue;
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order))
        next = timer;
    }
    return next;
  }

  return {
    now: () => nowMs,
    // Whole, like that of the system clock.
    date: () => Math.floor(nowMs),
    after,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const onAbort = (): void => {
          cancel();
          reject(signal?.reason);
        };
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await turns();
      for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
        timers.delete(timer);
        nowMs = Math.max(nowMs, timer.dueMs);
        timer.callback();
        await turns();
      }
      nowMs = untilMs;
    },
    stall(ms) {
      nowMs += ms;
    },
    pending: () => timers.size,
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS_AFTER_TIMER; turn++)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
}
