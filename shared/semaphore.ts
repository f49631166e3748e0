/** A counting semaphore: at most `maxConcurrent` calls run at once, the others wait in FIFO order. */
export type WithPermit = <T>(signal: AbortSignal, call: () => Promise<T>) => Promise<T>;

/** A call rejects with the signal's reason if it aborts while the call waits. The callers bound the queue. */
export function openSemaphore(maxConcurrent: number): WithPermit {
  const waiting: (() => void)[] = [];
  let running = 0;

  const turn = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const stopWaiting = (): void => {
        signal.removeEventListener('abort', onAbort);
        waiting.splice(waiting.indexOf(admit), 1);
      };
      const admit = (): void => {
        stopWaiting();
        resolve();
      };
      const onAbort = (): void => {
        stopWaiting();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(admit);
    });

  return async (signal, call) => {
    signal.throwIfAborted();
    if (running >= maxConcurrent) await turn(signal);
    else running += 1;
    try {
      return await call();
    } finally {
      // The permit passes directly to the first waiter, so that a new caller cannot overtake it.
      const [next] = waiting;
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
