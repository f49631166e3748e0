/** Other programs (kubectl, helm, aws), each with a deadline, its output kept for the message when it fails. */
import { spawn } from 'node:child_process';
import { Failure } from './failure.ts';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** For the message when it fails or takes too long; default: the command line. */
  readonly what?: string;
}

/** Most commands answer in a second; a machine that builds something else too takes longer. */
const DEFAULT_TIMEOUT_MS = 60_000;
/** Of what a command said, so much is remembered, and so many lines end up in a message. */
const MESSAGE_BYTES = 4_000;
const MESSAGE_LINES = 3;
/** Lists and metrics of a large cluster stay far below it. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, input, signal, what = `${command} ${args.join(' ')}` } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // `detached`: an interrupt typed at the terminal is for us to act on, and not for what runs on our behalf.
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
    end(new Failure(`gave up on ${what} after ${Math.round(timeoutMs / 1000)} s`));
  }, timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });

  child.stdout.on('data', (piece: Buffer) => {
    stdoutBytes += piece.length;
    if (stdoutBytes > MAX_OUTPUT_BYTES) end(new Failure(`${what} writes too much`));
    else stdout.push(piece);
  });
  child.stderr.on('data', (piece: Buffer) => (stderr = (stderr + String(piece)).slice(-MESSAGE_BYTES)));
  child.once('error', (error) => reject(new Failure(`${command} can't be run: ${error.message}`, { cause: error })));
  child.once('close', (code, killedBy) => {
    if (ended !== undefined) reject(ended);
    else if (code === 0) resolve(Buffer.concat(stdout).toString());
    else {
      const said = stderr.trim() === '' ? Buffer.concat(stdout).toString() : stderr;
      reject(new Failure(`${what}: ${killedBy ?? `exit code ${code}`}: ${lastLines(said)}`));
    }
  });
  // A program that ends before it has read everything says so by its exit code.
  child.stdin.on('error', () => child.stdin.destroy());
  child.stdin.end(input);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** What a command says last is why it ended. */
function lastLines(text: string): string {
  return text.trim().slice(-MESSAGE_BYTES).split('\n').slice(-MESSAGE_LINES).join('\n');
}
