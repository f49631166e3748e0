/** A gate at which calls wait while it is held: tests control the order of events without sleeping. */
import { cancelledBy } from '#cache/wire/http1/sink.ts';

export interface Gate {
  /** From now on `pass` waits until `release`. */
  hold(): void;
  /** Resolves all waiting calls; later calls do not wait. */
  release(): void;
  /** How many calls wait now. */
  readonly waiting: number;
  /** Resolves as soon as at least `count` calls wait at the held gate. */
  reached(count?: number): Promise<void>;
  pass(signal: AbortSignal): Promise<void>;
}

export function createGate(): Gate {
  let held: PromiseWithResolvers<void> | undefined;
  let waiting = 0;
  const watchers = new Set<{ readonly count: number; readonly resolve: () => void }>();
  const notifyWatchers = (): void => {
    for (const watcher of watchers)
      if (waiting >= watcher.count) {
        watchers.delete(watcher);
        watcher.resolve();
      }
  };
  return {
    hold() {
      held ??= Promise.withResolvers();
    },
    release() {
      held?.resolve();
      held = undefined;
    },
    get waiting() {
      return waiting;
    },
    async reached(count = 1) {
      if (waiting >= count) return;
      await new Promise<void>((resolve) => watchers.add({ count, resolve }));
    },
    async pass(signal) {
      if (signal.aborted) throw cancelledBy(signal);
      const current = held;
      if (current === undefined) return;
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(cancelledBy(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      waiting += 1;
      notifyWatchers();
      try {
        await Promise.race([current.promise, aborted.promise]);
      } finally {
        waiting -= 1;
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
