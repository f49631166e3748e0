/** `hack/try` as a process: what it prints, the commands among it, and its end. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { keepSaid } from './evidence.ts';
import { until } from './until.ts';

/** The size of the sample object that the commands read. */
export const MODEL_BYTES = 96 * 1024 * 1024;
/** Node starts in half a second, and much later on a busy machine. */
export const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

export class TryProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  text = '';

  /** Its temporary files are created in `temporary`. */
  constructor(temporary: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, ['hack/try.d/main.ts', ...args], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.#child, 'close');
    const said = keepSaid('try');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (data: Buffer) => {
        this.text += String(data);
        said(String(data));
      });
  }

  async started(): Promise<void> {
    const isOver = (): boolean => this.text.includes('Ctrl-C stops it') || this.#child.exitCode !== null;
    await until(isOver, 'hack/try prints its commands', START_LIMIT_MS);
    if (!this.text.includes('Ctrl-C stops it')) throw new Error(`hack/try has ended: ${this.text}`);
  }

  /** The first line that matches. */
  command(pattern: RegExp): string {
    const line = this.text.split('\n').find((candidate) => pattern.test(candidate.trim()));
    if (line === undefined) throw new Error(`no line matches ${String(pattern)}: ${this.text}`);
    return line.trim();
  }

  /** As Ctrl-C does. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGINT');
    const tooLong = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS);
    await this.#ended;
    clearTimeout(tooLong);
    return this.#child.exitCode;
  }

  /** Resolves with the exit code. */
  async end(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
  }
}
