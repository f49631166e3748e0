/**
 * The time limits of one exchange with one timer: what happens often (a read) only writes down the time, and the timer
 * looks when it fires.
 */
export type Overdue = 'first_byte' | 'silence' | 'stall';

export interface Deadline {
  /** The final head must come within `firstByteMs`, with a byte at least every `silenceMs`. */
  head(firstByteMs: number, silenceMs: number | undefined): void;
  /** Progress at least every `stallMs`. */
  body(stallMs: number): void;
  /** Something happened. */
  life(): void;
  /** Time stands still while this side does not want bytes. */
  pause(): void;
  resume(): void;
  stop(): void;
}

/** A timer that is later than this has waited for the processor, not for the other side. */
const OWN_LAG_MS = 100;

export function createDeadline(expired: (why: Overdue, limitMs: number) => void): Deadline {
  let timer: NodeJS.Timeout | undefined;
  let lastLook: NodeJS.Immediate | undefined;
  let limits: readonly { readonly why: Overdue; readonly limitMs: number; readonly fromStart: boolean }[] = [];
  let startMs = 0;
  let lifeMs = 0;

  const arm = (hasLooked = false): void => {
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const { why, limitMs, fromStart } of limits) {
      const leftMs = (fromStart ? startMs : lifeMs) + limitMs - nowMs;
      if (leftMs <= 0) {
        if (!hasLooked) {
          // After a long turn of the event loop timers fire before what has long arrived is read: read that first, else
          // a busy process takes its living peers for dead.
          timer = undefined;
          lastLook = setImmediate(() => {
            lastLook = undefined;
            arm(true);
          });
          return;
        }
        limits = [];
        expired(why, limitMs);
        return;
      }
      nextMs = Math.min(nextMs, leftMs);
    }
    // Timers count whole milliseconds: one too early would only fire again.
    const waitMs = Math.ceil(nextMs);
    timer = limits.length === 0 ? undefined : setTimeout(() => fired(nowMs + waitMs), waitMs);
  };
  const fired = (dueMs: number): void => {
    const lagMs = performance.now() - dueMs;
    if (lagMs > OWN_LAG_MS) {
      // This process has not run for a while, and on a busy machine the other has not either: the time is given back,
      // and a silence begins anew.
      startMs += lagMs;
      lifeMs = performance.now();
    }
    arm();
  };
  const disarm = (): void => {
    clearTimeout(timer);
    clearImmediate(lastLook);
    timer = undefined;
    lastLook = undefined;
  };
  const begin = (next: typeof limits): void => {
    disarm();
    limits = next;
    startMs = lifeMs = performance.now();
    arm();
  };
  return {
    head(firstByteMs, silenceMs) {
      begin([
        { why: 'first_byte', limitMs: firstByteMs, fromStart: true },
        ...(silenceMs === undefined ? [] : [{ why: 'silence' as const, limitMs: silenceMs, fromStart: false }]),
      ]);
    },
    body: (stallMs) => begin([{ why: 'stall', limitMs: stallMs, fromStart: false }]),
    life() {
      lifeMs = performance.now();
    },
    pause: disarm,
    resume() {
      startMs = lifeMs = performance.now();
      if (timer === undefined && lastLook === undefined) arm();
    },
    stop() {
      disarm();
      limits = [];
    },
  };
}
