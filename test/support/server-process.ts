/** A third-party server as a child process: started when it responds, stopped when its process has ended. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 5_000;
/** The part of its output that an error message shows. */
const SHOWN_CHARACTERS = 4096;

export interface ServerProcessOptions {
  /** For errors. */
  readonly name: string;
  readonly program: string;
  readonly parameters: readonly string[];
  readonly cwd?: string;
  /** Rejects while it does not answer. */
  readonly ping: () => Promise<unknown>;
  readonly pollMs: number;
  readonly startTimeoutMs: number;
  /** Default: SIGTERM, then SIGKILL if it does not exit. */
  readonly stopSignal?: 'SIGTERM' | 'SIGKILL';
}

/** Resolves with a function that stops it, as soon as it responds. */
export async function startServerProcess(options: ServerProcessOptions): Promise<() => Promise<void>> {
  const { name, program, parameters, cwd, stopSignal = 'SIGTERM' } = options;
  const child = spawn(program, parameters, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output = (output + String(data)).slice(-SHOWN_CHARACTERS)));
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.once('error', (error) => (output += error.message));
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(stopSignal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  const deadlineMs = performance.now() + options.startTimeoutMs;
  while (true) {
    try {
      await options.ping();
      return stop;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        await stop();
        throw new Error(`${name} did not start: ${output}`, { cause: error });
      }
      await delay(options.pollMs);
    }
  }
}
