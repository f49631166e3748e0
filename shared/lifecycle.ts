/**
 * A process's life: a signal to stop becomes one AbortSignal, what nobody caught becomes a log line and exit 1, and the
 * shutdown is a list of steps, each with a bound.
 */
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** The part of `process` that a lifecycle uses, so that tests can hand in another. */
export interface Host {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  exit(code: number): void;
}

export interface ShutdownStep {
  readonly name: string;
  /** What is not done by then is left behind, said in the log, and the next step runs. */
  readonly timeoutMs: number;
  /** The signal aborts at the bound: the step should then destroy what it was waiting for. */
  run(signal: AbortSignal): Promise<void> | void;
}

export interface Lifecycle {
  /** Aborts at the first SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
  /** Takes the handlers away again, for tests. */
  close(): void;
}

/** 128 + the number of the signal, as shells say it. */
const EXIT_SIGINT = 130;

export function openLifecycle(log: Log, host: Host = process): Lifecycle {
  const stop = new AbortController();
  const onSignal = (name: unknown): void => {
    if (stop.signal.aborted) {
      // A second Ctrl-C means now; Kubernetes sends SIGTERM once and then kills.
      if (name === 'SIGINT') host.exit(EXIT_SIGINT);
      return;
    }
    log.info('stopping', { signal: name });
    stop.abort(new Error(`stopped by ${String(name)}`));
  };
  const onCrash = (error: unknown): void => {
    // Unknown state: a restart is the only answer that is right in every case.
    log.error('something failed that nobody was waiting for', { error });
    host.exit(1);
  };
  const handlers = [
    ['SIGTERM', onSignal],
    ['SIGINT', onSignal],
    ['uncaughtException', onCrash],
    ['unhandledRejection', onCrash],
  ] as const;
  for (const [event, handler] of handlers) host.on(event, handler);
  return {
    stopping: stop.signal,
    close() {
      for (const [event, handler] of handlers) host.off(event, handler);
    },
  };
}

/** Runs the steps in order. A step that fails or takes too long stops nothing behind it. Never rejects. */
export async function shutDown(steps: readonly ShutdownStep[], log: Log, clock: Clock): Promise<void> {
  for (const step of steps) {
    const startMs = clock.now();
    const bound = new AbortController();
    const overdue = new Promise<'overdue'>((resolve) => {
      bound.signal.addEventListener('abort', () => resolve('overdue'), { once: true });
    });
    const cancel = clock.after(step.timeoutMs, () =>
      bound.abort(new Error(`${step.name}: ${step.timeoutMs} ms are over`)),
    );
    const run = async (): Promise<'done' | 'failed'> => {
      try {
        await step.run(bound.signal);
        return 'done';
      } catch (error) {
        log.warn('a shutdown step failed', { step: step.name, error });
        return 'failed';
      }
    };
    const outcome = await Promise.race([run(), overdue]);
    cancel();
    const fields = { step: step.name, outcome, durationMs: clock.now() - startMs };
    if (outcome === 'overdue') log.warn('a shutdown step took too long', { ...fields, timeoutMs: step.timeoutMs });
    else log.debug('shutdown step', fields);
  }
}
