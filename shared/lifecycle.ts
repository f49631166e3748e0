/**
 * The lifecycle of a process: SIGTERM and SIGINT abort one AbortSignal, an uncaught error is logged and exits with 1, and
 * a graceful shutdown is a list of steps, each with a timeout.
 */
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** The part of `process` that a lifecycle uses; tests replace it. */
export interface Host {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  exit(code: number): void;
}

export interface ShutdownStep {
  readonly name: string;
  /** After this time the step is logged as timed out, and the next step runs. */
  readonly timeoutMs: number;
  /** The signal aborts at the timeout: the step should then destroy what it waits for. */
  run(signal: AbortSignal): Promise<void> | void;
}

export interface Lifecycle {
  /** Aborts at the first SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
  /** Stops for another reason than a signal. */
  stop(reason: string): void;
  /** Removes the handlers, for tests. */
  close(): void;
}

/** 128 + the signal number, as in shells. */
const EXIT_SIGINT = 130;

export function openLifecycle(log: Log, host: Host = process): Lifecycle {
  const stop = new AbortController();
  const onSignal = (name: unknown): void => {
    if (stop.signal.aborted) {
      // A second Ctrl-C exits at once. Kubernetes sends SIGTERM once, then SIGKILL.
      if (name === 'SIGINT') host.exit(EXIT_SIGINT);
      return;
    }
    log.info('stopping', { signal: name });
    stop.abort(new Error(`stopped by ${String(name)}`));
  };
  const onCrash = (error: unknown): void => {
    // The process is in an unknown state, and only a restart is safe in every case.
    log.error('uncaught error; exiting', { error });
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
    stop(reason) {
      if (stop.signal.aborted) return;
      log.info('stopping', { reason });
      stop.abort(new Error(`stopped: ${reason}`));
    },
    close() {
      for (const [event, handler] of handlers) host.off(event, handler);
    },
  };
}

/** Runs the steps in order. A step that fails or times out does not affect the later ones. Never rejects. */
export async function shutDown(steps: readonly ShutdownStep[], log: Log, clock: Clock): Promise<void> {
  for (const step of steps) {
    const startMs = clock.now();
    const timeout = new AbortController();
    const timedOut = new Promise<'timed out'>((resolve) => {
      timeout.signal.addEventListener('abort', () => resolve('timed out'), { once: true });
    });
    const cancel = clock.after(step.timeoutMs, () =>
      timeout.abort(new Error(`shutdown step ${step.name} timed out after ${step.timeoutMs} ms`)),
    );
    const run = async (): Promise<'done' | 'failed'> => {
      try {
        await step.run(timeout.signal);
        return 'done';
      } catch (error) {
        log.warn('shutdown step failed', { step: step.name, error });
        return 'failed';
      }
    };
    const outcome = await Promise.race([run(), timedOut]);
    cancel();
    const fields = { step: step.name, outcome, durationMs: clock.now() - startMs };
    if (outcome === 'timed out') log.warn('shutdown step timed out', { ...fields, timeoutMs: step.timeoutMs });
    else log.debug('shutdown step', fields);
  }
}
