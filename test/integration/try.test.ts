/** `hack/try` as a person runs it: it prints an endpoint and commands, serves them, and leaves nothing behind. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepSaid } from '#test/support/evidence.ts';
import { freePort } from '#test/support/free-port.ts';
import { until } from '#test/support/until.ts';

const run = promisify(execFile);
const MODEL_BYTES = 96 * 1024 * 1024;
/** Node starts in half a second, and much later on a busy machine. */
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

/** A folder without other files, so that the test sees the files that remain. */
let temporary = '';
beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'orca-try-test-'));
});
afterAll(() => rm(temporary, { recursive: true }));

class Try implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  text = '';

  constructor(args: readonly string[]) {
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

  /** The first command of this program. */
  command(program: string): string {
    const line = this.text.split('\n').find((candidate) => candidate.trimStart().startsWith(program));
    if (line === undefined) throw new Error(`no command with ${program}: ${this.text}`);
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

test('three replicas serve the sample files; Ctrl-C removes everything', async () => {
  const port = await freePort();
  await using tried = new Try(['--replicas', '3', '--port', String(port)]);
  await tried.started();
  const curl = tried.command('curl');
  expect(curl).toContain(`http://127.0.0.1:${port}/sample/`);
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run('bash', ['-c', curl]);
    expect(stdout).toMatch(new RegExp(`^${MODEL_BYTES} bytes in `));
  }
  // Two reads of 96 MiB through one replica: the origin has sent it once.
  await until(() => tried.text.includes('read from the origin 96Mi · saved 96Mi'), 'the live line', START_LIMIT_MS);
  expect(await tried.stop()).toBe(0);
  expect(await readdir(temporary)).toEqual([]);
  await expect(run('curl', ['-sS', `http://127.0.0.1:${port}/`])).rejects.toThrow('Failed to connect');
});

test('in front of a bucket of an S3 server, with the chunks in a folder that stays', async () => {
  await using origin = new Try(['--port', String(await freePort())]);
  await origin.started();
  const endpoint = /S3 endpoint: (\S+)/.exec(origin.text)?.[1] ?? '';
  const store = await mkdtemp(join(tmpdir(), 'orca-try-store-'));
  try {
    const args = ['--origin', 's3://sample/models', '--endpoint', endpoint, '--anonymous', '--store', store];
    await using tried = new Try([...args, '--port', String(await freePort())]);
    await tried.started();
    const edge = /S3 endpoint: (\S+)/.exec(tried.text)?.[1] ?? '';
    const response = await fetch(`${edge}/sample/tiny-llm/config.json`);
    expect(await response.json()).toMatchObject({ model_type: 'tiny' });
    expect(await tried.stop()).toBe(0);
    expect(await readdir(store)).not.toEqual([]);
  } finally {
    await rm(store, { recursive: true });
  }
});

test('in front of a web server', async () => {
  await using origin = new Try(['--port', String(await freePort())]);
  await origin.started();
  const endpoint = /S3 endpoint: (\S+)/.exec(origin.text)?.[1] ?? '';
  await using tried = new Try(['--origin', `${endpoint}/sample`, '--port', String(await freePort())]);
  await tried.started();
  // A web server lists nothing.
  expect(tried.text).toContain('KEY is the name of an object that you know');
  const edge = /S3 endpoint: (\S+)/.exec(tried.text)?.[1] ?? '';
  const response = await fetch(`${edge}/web/hello.txt`);
  expect(await response.text()).toContain('Hello from the origin');
});

test('a start that fails reports its cause, and leaves nothing behind', async () => {
  const wrong = new Try(['--origin', 'acme']);
  expect(await wrong.end()).toBe(2);
  expect(wrong.text).toContain('--origin must be s3://BUCKET');

  const blocker = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve));
  try {
    const taken = new Try(['--port', String(port)]);
    expect(await taken.end()).toBe(2);
    expect(taken.text).toContain(`port ${port} is in use: choose another one with --port`);
  } finally {
    blocker.close();
  }
  expect(await readdir(temporary)).toEqual([]);
});
