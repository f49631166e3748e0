/**
 * Follows a value that may change while the process runs, such as a mounted Secret, by polling. A value that cannot be
 * read or parsed leaves the last valid one in use.
 */
import type { Clock } from './clock.ts';

/** The kubelet takes about a minute to deliver a change, so ten more seconds do not matter. */
const REREAD_MS = 10_000;

export interface Followed<T> {
  current(): T;
  close(): Promise<void>;
}

export interface FollowOptions<Raw, T> {
  readonly read: () => Promise<Raw>;
  readonly same: (a: Raw, b: Raw) => boolean;
  /**
   * Called with the first value, and with each that differs from the last valid one. Throws if the value is invalid.
   */
  readonly parse: (raw: Raw) => T;
  readonly onChange: (value: T) => void;
  /** `isNew`: the previous read succeeded or failed with a different error. */
  readonly onError: (error: unknown, isNew: boolean) => void;
  /** Called if the polling ends without `close`. */
  readonly onEnd: (error: unknown) => void;
  readonly clock: Clock;
}

/** Rejects if the first value cannot be read or parsed. */
export async function follow<Raw, T>(options: FollowOptions<Raw, T>): Promise<Followed<T>> {
  const { read, same, parse, clock } = options;
  const stop = new AbortController();
  let raw = await read();
  let value = parse(raw);
  let lastError = '';

  const reread = async (): Promise<void> => {
    try {
      const next = await read();
      if (!same(next, raw)) {
        value = parse(next);
        raw = next;
        options.onChange(value);
      }
      lastError = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      options.onError(error, message !== lastError);
      lastError = message;
    }
  };
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(REREAD_MS, stop.signal);
      await reread();
    }
  };
  const done = run().catch((error: unknown) => {
    if (!stop.signal.aborted) options.onEnd(error);
  });

  return {
    current: () => value,
    async close() {
      stop.abort();
      await done;
    },
  };
}
