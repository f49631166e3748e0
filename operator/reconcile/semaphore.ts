/** A counting semaphore: at most `maxConcurrent` calls run at once, the others wait in FIFO order. */
export type WithPermit = <T>(call: () => Promise<T>) => Promise<T>;

/** The queue is bounded by the callers: each cache makes at most a few calls. */
export function openSemaphore(maxConcurrent: number): WithPermit {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (call) => {
    if (running >= maxConcurrent)
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    else running += 1;
    try {
      return await call();
    } finally {
      // The permit passes directly to the first waiter, so that a new caller cannot overtake it.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
