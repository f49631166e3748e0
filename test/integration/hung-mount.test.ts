/** A Filesystem cachestore whose file operations never return, as on a mount whose server is down. */
import { spawn } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { makeFifo, type Fifo } from '#test/support/fifo.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas } from '#test/support/replicas.ts';
import { until } from '#test/support/until.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** Five seconds to the first byte, then the origin; the remaining seconds are for a busy machine. */
const READ_MS = 20_000;

test('reads go to the origin, other work continues, and the mount is used again when it responds', async () => {
  const cache = await startReplicas({ store: 'Filesystem', readahead: 0 });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  const [replica] = cache.all;
  const bodies = Array.from({ length: 12 }, (_, index) => patternBytes(MIB, index));
  const read = async (index: number): Promise<void> => {
    const { status, complete, body } = await http(replica!.edge, `/${BUCKET}/object-${index}`);
    expect([status, complete, sha256(body)]).toEqual([200, true, sha256(bodies[index]!)]);
  };
  const text = async (path: string): Promise<string> => (await http(replica!.ops, path)).body.toString();
  for (const [index, body] of bodies.entries()) {
    await cache.put(`object-${index}`, body);
    await read(index);
  }
  await cache.idle();

  const pipes: Fifo[] = [...(await cache.stored()).values()].map((file) => makeFifo(file));
  expect(pipes).toHaveLength(bodies.length);
  onTestFinished(() => pipes.forEach((fifo) => fifo[Symbol.dispose]()));
  cache.forgetMemory();
  const startedMs = performance.now();
  await Promise.all(bodies.map((_, index) => read(index)));
  expect(performance.now() - startedMs).toBeLessThan(READ_MS);
  expect(await text('/readyz?verbose')).toMatch(/\[\+\] cachestore files: 4 file operations have not returned/);
  expect(await replica!.metric('orca_store_hung_operations')).toBe(4);

  // The rest of the process uses Node's thread pool, and the next reads do not wait.
  expect((await lookup('localhost')).address).toBeTruthy();
  expect((await readFile(import.meta.filename)).length).toBeGreaterThan(0);
  cache.forgetMemory();
  const again = performance.now();
  await Promise.all(bodies.map((_, index) => read(index)));
  expect(performance.now() - again).toBeLessThan(5_000);
  expect(JSON.parse(await text('/status'))).toMatchObject({ ready: true, store: { breaker: 'open', hung: 4 } });

  for (const fifo of pipes) fifo.release();
  await until(() => replica!.cache.engine.store.hung?.count === 0, 'all operations have returned');
  expect(await text('/readyz?verbose')).not.toContain('cachestore files');
});

test('a process whose file operations hang ends on SIGTERM', async () => {
  const cache = await startReplicas({ store: 'Filesystem', changes: { logLevel: 'info' } });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  const [replica] = cache.all;
  const body = patternBytes(MIB);
  await cache.put('a', body);
  expect((await http(replica!.edge, `/${BUCKET}/a`)).status).toBe(200);
  await cache.idle();
  const pipes = [...(await cache.stored()).values()].map((file) => makeFifo(file));
  onTestFinished(() => pipes.forEach((pipe) => pipe[Symbol.dispose]()));
  await replica!.stop();

  const file = join(cache.storeDirectory, '..', 'process.yaml');
  await writeFile(file, replica!.file);
  const child = spawn(process.execPath, ['cache/main.ts', '--config', file], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += String(data)));
  const lineOf = (text: string) => output.split('\n').find((line) => line.includes(text));
  await until(() => lineOf('"ready"') !== undefined, 'the process is ready', 60_000);
  const { ports } = JSON.parse(lineOf('"listening"') ?? '') as { readonly ports: { readonly edge: number } };
  const edge = `http://${new URL(replica!.edge).hostname}:${ports.edge}`;
  expect(sha256((await http(edge, `/${BUCKET}/a`)).body)).toBe(sha256(body));
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
