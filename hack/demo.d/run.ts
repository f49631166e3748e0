/** Runs kubectl, helm and aws with a deadline; the error message contains the end of their output. */
import { spawn } from 'node:child_process';
import { Failure } from './failure.ts';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** Name of the operation in error messages; default: the command line. */
  readonly what?: string;
}

/** Most commands take a second, but longer on a busy machine. */
const DEFAULT_TIMEOUT_MS = 60_000;
/** How much of a command's output is kept for an error message, and how many lines the message contains. */
const MESSAGE_BYTES = 4_000;
const MESSAGE_LINES = 3;
/** Far above the lists and metrics of a large cluster. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, input, signal, what = `${command} ${args.join(' ')}` } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // `detached`: only this process receives an interrupt from the terminal, and then ends the child.
  const child = spawn(command, args, { stdio: 'pipe', detached: true, env: options.env ?? process.env });
  const stdout: Buffer[] = [];
  let stdoutBytes = 0;
  let stderr = '';
  let ended: Error | undefined;

  const end = (error: Error): void => {
    ended ??= error;
    child.kill('SIGTERM');
  };
  const onAbort = (): void => end(signal?.reason instanceof Error ? signal.reason : new Failure('interrupted'));
  const timer = setTimeout(() => {
    end(new Failure(`${what} timed out after ${Math.round(timeoutMs / 1000)} s`));
  }, timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });

  child.stdout.on('data', (piece: Buffer) => {
    stdoutBytes += piece.length;
    if (stdoutBytes > MAX_OUTPUT_BYTES) end(new Failure(`the output of ${what} exceeds ${MAX_OUTPUT_BYTES} bytes`));
    else stdout.push(piece);
  });
  child.stderr.on('data', (piece: Buffer) => (stderr = (stderr + String(piece)).slice(-MESSAGE_BYTES)));
  child.once('error', (error) => reject(new Failure(`could not run ${command}: ${error.message}`, { cause: error })));
  child.once('close', (code, killedBy) => {
    if (ended !== undefined) reject(ended);
    else if (code === 0) resolve(Buffer.concat(stdout).toString());
    else {
      const output = stderr.trim() === '' ? Buffer.concat(stdout).toString() : stderr;
      reject(new Failure(`${what}: ${killedBy ?? `exit code ${code}`}: ${lastLines(output)}`));
    }
  });
  // A program that exits before it has read all input reports that with its exit code.
  child.stdin.on('error', () => child.stdin.destroy());
  child.stdin.end(input);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Runs a command whose output the user sees while it runs, such as a progress bar. */
export async function runShown(
  command: string,
  args: readonly string[],
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal, what = `${command} ${args.join(' ')}` }: Omit<RunOptions, 'input' | 'env'>,
): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // `detached`: as above.
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true, signal: either });
  child.once('error', (error) => {
    if (signal?.aborted === true) reject(signal.reason instanceof Error ? signal.reason : new Failure('interrupted'));
    else if (deadline.aborted) reject(new Failure(`${what} timed out after ${Math.round(timeoutMs / 1000)} s`));
    else reject(new Failure(`could not run ${command}: ${error.message}`, { cause: error }));
  });
  child.once('close', (code, killedBy) => {
    if (code === 0) resolve();
    else reject(new Failure(`${what}: ${killedBy ?? `exit code ${code}`}`));
  });
  await promise;
}

/** The last lines usually contain the error. */
function lastLines(text: string): string {
  return text.trim().slice(-MESSAGE_BYTES).split('\n').slice(-MESSAGE_LINES).join('\n');
}
