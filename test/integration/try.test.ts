/** `hack/try` as a person runs it: it prints an endpoint and commands, serves them, and leaves nothing behind. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '#hack/lab/free-ports.ts';
import { MODEL_BYTES, START_LIMIT_MS, TryProcess } from '#test/support/try-process.ts';
import { until } from '#test/support/until.ts';

const run = promisify(execFile);

/** A folder without other files, so that the test sees the files that remain. */
let temporary = '';
beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'orca-try-test-'));
});
afterAll(() => rm(temporary, { recursive: true }));

test('three replicas serve the sample files; Ctrl-C removes everything', async () => {
  const port = await freePort();
  await using tried = new TryProcess(temporary, ['--replicas', '3', '--port', String(port)]);
  await tried.started();
  const curl = tried.command(/^curl /);
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
  await using origin = new TryProcess(temporary, ['--port', String(await freePort())]);
  await origin.started();
  const endpoint = /S3 endpoint: (\S+)/.exec(origin.text)?.[1] ?? '';
  const store = await mkdtemp(join(tmpdir(), 'orca-try-store-'));
  try {
    const args = ['--origin', 's3://sample/models', '--endpoint', endpoint, '--anonymous', '--store', store];
    await using tried = new TryProcess(temporary, [...args, '--port', String(await freePort())]);
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
  await using origin = new TryProcess(temporary, ['--port', String(await freePort())]);
  await origin.started();
  const endpoint = /S3 endpoint: (\S+)/.exec(origin.text)?.[1] ?? '';
  await using tried = new TryProcess(temporary, ['--origin', `${endpoint}/sample`, '--port', String(await freePort())]);
  await tried.started();
  // A web server lists nothing.
  expect(tried.text).toContain('KEY is the name of an object that you know');
  const edge = /S3 endpoint: (\S+)/.exec(tried.text)?.[1] ?? '';
  const response = await fetch(`${edge}/web/hello.txt`);
  expect(await response.text()).toContain('Hello from the origin');
});

test('a start that fails reports its cause, and leaves nothing behind', async () => {
  const wrong = new TryProcess(temporary, ['--origin', 'acme']);
  expect(await wrong.end()).toBe(2);
  expect(wrong.text).toContain('--origin must be s3://BUCKET');

  const blocker = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve));
  try {
    const taken = new TryProcess(temporary, ['--port', String(port)]);
    expect(await taken.end()).toBe(2);
    expect(taken.text).toContain(`port ${port} is in use: choose another one with --port`);
  } finally {
    blocker.close();
  }
  expect(await readdir(temporary)).toEqual([]);
});
