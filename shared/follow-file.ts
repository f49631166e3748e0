/**
 * A file that is read again while the process runs, such as one of a mounted Secret. What can't be read or parsed leaves
 * the last good value, and is told once.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** Kubelet takes about a minute to deliver a change; ten seconds more are not noticed. */
const REREAD_MS = 10_000;

export interface FollowedFiles<T> {
  current(): T;
  close(): Promise<void>;
}

export interface FollowOptions<T> {
  /** Read together, in this order. */
  readonly paths: readonly string[];
  /** Throws an Error that may be logged: without a secret. */
  readonly parse: (contents: readonly Buffer[]) => T;
  readonly onChange: (value: T) => void;
  /** For logs. */
  readonly what: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Rejects where there is no good value at first. `onChange` is called with each later one. */
export async function followFiles<T>(options: FollowOptions<T>): Promise<FollowedFiles<T>> {
  const { paths, parse, onChange, what, clock, log } = options;
  const stop = new AbortController();
  let contents = await readAll(paths);
  let value = parse(contents);
  let complaint = '';

  async function follow(): Promise<void> {
    for (;;) {
      await clock.sleep(REREAD_MS, stop.signal);
      try {
        const next = await readAll(paths);
        if (next.every((bytes, index) => contents[index]?.equals(bytes) === true)) {
          complaint = '';
          continue;
        }
        value = parse(next);
        contents = next;
        complaint = '';
        onChange(value);
        log.info(`${what} changed`);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== complaint) log.warn(`${what} can't be used now; the last ones stay`, { error });
        complaint = message;
      }
    }
  }
  const done = follow().catch((error: unknown) => {
    if (!stop.signal.aborted) log.error(`${what} are no longer followed`, { error });
  });

  return {
    current: () => value,
    async close() {
      stop.abort();
      await done;
    },
  };
}

function readAll(paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path)));
}
