/**
 * Something that is read again while the process runs, such as a mounted Secret. What can't be read or used leaves the
 * last good value.
 */
import type { Clock } from './clock.ts';

/** Kubelet takes about a minute to deliver a change; ten seconds more are not noticed. */
const REREAD_MS = 10_000;

export interface Followed<T> {
  current(): T;
  close(): Promise<void>;
}

export interface FollowOptions<Raw, T> {
  readonly read: () => Promise<Raw>;
  readonly same: (a: Raw, b: Raw) => boolean;
  /** Called with the first, and with each that is not the same as the last good one; throws where it is of no use. */
  readonly parse: (raw: Raw) => T;
  readonly onChange: (value: T) => void;
  /** `isNews`: it was another error the last time, or none. */
  readonly onError: (error: unknown, isNews: boolean) => void;
  /** It is no longer followed, although nobody has closed it. */
  readonly onEnd: (error: unknown) => void;
  readonly clock: Clock;
}

/** Rejects where there is no good value at first. */
export async function follow<Raw, T>(options: FollowOptions<Raw, T>): Promise<Followed<T>> {
  const { read, same, parse, clock } = options;
  const stop = new AbortController();
  let raw = await read();
  let value = parse(raw);
  let complaint = '';

  const reread = async (): Promise<void> => {
    try {
      const next = await read();
      if (!same(next, raw)) {
        value = parse(next);
        raw = next;
        options.onChange(value);
      }
      complaint = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      options.onError(error, message !== complaint);
      complaint = message;
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
