/** So many calls at once, and the rest in the order in which they came. */
export type Limited = <T>(call: () => Promise<T>) => Promise<T>;

/** Who calls bounds the queue: at most a few calls for each cache. */
export function openSemaphore(maxAtOnce: number): Limited {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (call) => {
    if (running >= maxAtOnce)
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    else running += 1;
    try {
      return await call();
    } finally {
      // The place goes from hand to hand, so that nobody who comes now is before those who wait.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
