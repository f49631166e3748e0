/** The life cycle of a replica: readiness, status pages, draining, and the real process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { createGate } from '#test/support/gate.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas } from '#test/support/replicas.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** Node starts in half a second, and much later on a busy machine. */
const PROCESS_LIMIT_MS = 60_000;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'orca-lifecycle-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('readiness', () => {
  test('a configuration that has not proven itself waits for its store and its buckets', async () => {
    const runtimeFile = join(directory, 'runtime.yaml');
    await writeFile(runtimeFile, '{}');
    await using cache = await startReplicas({ changes: { runtimeFile } });
    cache.storeProxy.inject({ action: { kind: 'answer', status: 503 } });
    cache.originProxy.inject({ action: { kind: 'answer', status: 500 } });
    await cache.restart('down');
    const { ops, edge } = cache.all[0]!;
    await expect
      .poll(async () => (await http(ops, '/readyz?verbose')).body.toString(), { timeout: 10_000 })
      .toContain('[-] cachestore');
    const waiting = await http(ops, '/readyz?verbose');
    expect(waiting.status).toBe(503);
    expect(waiting.body.toString()).toMatch(/\[-\] bucket models: origin_unavailable/);
    expect((await http(ops, '/livez')).status).toBe(200);

    cache.storeProxy.reset();
    cache.originProxy.reset();
    await expect.poll(async () => (await http(ops, '/readyz')).status, { timeout: 20_000 }).toBe(200);
    expect((await http(ops, '/readyz?verbose')).body.toString()).not.toContain('[-]');
    expect((await http(edge, `/${BUCKET}/none`)).status).toBe(404);
  });

  test('one that has waits only a while for its store, and for no origin', async () => {
    await using cache = await startReplicas({});
    cache.storeProxy.inject({ action: { kind: 'answer', status: 503 } });
    cache.originProxy.inject({ action: { kind: 'answer', status: 500 } });
    await cache.restart('down');
    await expect.poll(async () => (await http(cache.all[0]!.ops, '/readyz')).status, { timeout: 20_000 }).toBe(200);
  });
});

test('an invalid value in the runtime file is reported until it is corrected, and the last valid one stays', async () => {
  const runtimeFile = join(directory, 'hot.yaml');
  await writeFile(runtimeFile, 'chunking: {readahead: 3}');
  await using cache = await startReplicas({ changes: { runtimeFile } });
  const problems = async (): Promise<readonly string[]> => {
    const { body } = await http(cache.all[0]!.ops, '/status');
    return (JSON.parse(body.toString()) as { runtime: { problems: readonly string[] } }).runtime.problems;
  };
  expect(await problems()).toEqual([]);
  await writeFile(runtimeFile, 'chunking: {readahead: many}');
  await expect.poll(problems, { timeout: 20_000 }).toEqual([expect.stringContaining('chunking.readahead')]);
  await writeFile(runtimeFile, 'chunking: {readahead: 4}');
  await expect.poll(problems, { timeout: 20_000 }).toEqual([]);
});

test('metrics and status are well-formed and tell no secret', async () => {
  await using cache = await startReplicas({ replicas: 2 });
  await cache.put('a', patternBytes(3 * MIB));
  await http(cache.all[0]!.edge, `/${BUCKET}/a`);
  const metrics = await http(cache.all[0]!.ops, '/metrics');
  expect(metrics.headers['content-type']).toContain('text/plain');
  const status = await http(cache.all[0]!.ops, '/status');
  expect(JSON.parse(status.body.toString())).toMatchObject({
    originId: 'far',
    peers: { self: cache.all[0]!.address, owners: cache.all.map(({ address }) => address).toSorted() },
  });
  const lines = metrics.body
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  for (const line of lines) expect(line).toMatch(/^(?:# (?:HELP|TYPE) \S+ .+|[a-z_][a-z0-9_]*(?:\{[^}]*\})? \S+)$/);
  const shown = `${lines.join('\n')}${status.body.toString()}${cache.all.flatMap(({ logLines }) => logLines).join('')}`;
  for (const secret of [cache.origin.secretAccessKey, cache.peerKey.toString('base64'), cache.peerKey.toString('hex')])
    expect(shown).not.toContain(secret);
});

describe('draining', () => {
  test('a long read completes, and new responses have Connection: close', async () => {
    await using cache = await startReplicas({
      readahead: 0,
      changes: { 'shutdown.propagationDelay': '3s', 'shutdown.drainTimeout': '30s' },
    });
    const body = patternBytes(3 * MIB);
    await cache.put('a', body);
    const gate = createGate();
    gate.hold();
    const isLast = ({ range }: { range: string | undefined }): boolean =>
      range?.startsWith(`bytes=${2 * MIB}-`) === true;
    cache.originProxy.inject({ when: isLast, times: 1, action: { kind: 'stall', afterBytes: 100_000, gate } });
    const replica = cache.all[0]!;
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect((await http(replica.edge, `/${BUCKET}/none`, { agent })).headers.connection).toBe('keep-alive');
    const reading = http(replica.edge, `/${BUCKET}/a`);
    await gate.reached();

    const stopped = replica.stop();
    expect((await http(replica.ops, '/readyz')).status).toBe(503);
    const meanwhile = await http(replica.edge, `/${BUCKET}/a`, { agent, headers: { range: 'bytes=0-9' } });
    expect(meanwhile.status).toBe(206);
    expect(meanwhile.headers.connection).toBe('close');
    // Once it accepts no more, the read is still going on.
    await expect.poll(async () => (await http(replica.edge, `/${BUCKET}/none`)).status, { timeout: 10_000 }).toBe(0);
    gate.release();
    const read = await reading;
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(body));
    await stopped;
    expect((await http(replica.ops, '/livez')).status).toBe(0);
    // What was filled last is stored too.
    expect((await cache.stored()).size).toBe(3);
  });

  test('a read that outlives the drain timeout is broken, never cut short cleanly', async () => {
    await using cache = await startReplicas({ readahead: 0, changes: { 'shutdown.drainTimeout': '1s' } });
    const body = patternBytes(2 * MIB);
    await cache.put('a', body);
    const gate = createGate();
    gate.hold();
    const isLast = ({ range }: { range: string | undefined }): boolean => range?.startsWith(`bytes=${MIB}-`) === true;
    cache.originProxy.inject({ when: isLast, action: { kind: 'stall', afterBytes: 100_000, gate } });
    const reading = http(cache.all[0]!.edge, `/${BUCKET}/a`);
    await gate.reached();
    await cache.all[0]!.stop();
    const read = await reading;
    gate.release();
    expect(read.status).toBe(200);
    expect(read.complete).toBe(false);
    expect(body.subarray(0, read.body.length).equals(read.body)).toBe(true);
  });
});

describe('node cache/main.ts', () => {
  interface Run {
    readonly child: ChildProcess;
    readonly output: { stdout: string; stderr: string };
    readonly exited: Promise<number | null>;
  }

  function run(...args: readonly string[]): Run {
    const child = spawn(process.execPath, ['cache/main.ts', ...args], {
      cwd: REPOSITORY,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (data: Buffer) => (output.stdout += String(data)));
    child.stderr.on('data', (data: Buffer) => (output.stderr += String(data)));
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, output, exited: once(child, 'close').then(([code]) => code as number | null) };
  }

  test('a bad configuration is exit 1, with all problems on stderr, each with its path', async () => {
    const file = join(directory, 'bad.yaml');
    await writeFile(
      file,
      [
        'origin: { id: "..", type: S3, s3: { endpoint: "http://127.0.0.1:1" }, buckets: [{ name: models }] }',
        'cacheStore: { type: Filesystem, filesystem: { path: /tmp/none } }',
        'chunking: { size: 3 }',
        'metadata: { ttl: soon }',
        'typo: true',
      ].join('\n'),
    );
    const { exited, output } = run('--config', file);
    expect(await exited).toBe(1);
    expect(output.stdout).toBe('');
    for (const path of ['origin.id', 'chunking.size', 'metadata.ttl', 'typo']) expect(output.stderr).toContain(path);
    expect(output.stderr.trim().split('\n').length).toBeGreaterThanOrEqual(4);
  });

  test('a file that is not there is exit 1, no arguments are exit 2 with the usage', async () => {
    const missing = run('--config', join(directory, 'none.yaml'));
    const bare = run();
    expect(await missing.exited).toBe(1);
    expect(missing.output.stderr).toContain('none.yaml');
    expect(await bare.exited).toBe(2);
    expect(bare.output.stderr).toContain('usage:');
  });

  test('a good one serves until SIGTERM, and ends with 0', async () => {
    await using cache = await startReplicas({ changes: { logLevel: 'info' } });
    const body = patternBytes(3 * MIB + 1);
    await cache.put('a', body);
    const replica = cache.all[0]!;
    await replica.stop();
    const file = join(directory, 'good.yaml');
    await writeFile(file, replica.file);
    const { child, exited, output } = run('--config', file);
    const listening = (): string | undefined => output.stdout.split('\n').find((line) => line.includes('"listening"'));
    await expect.poll(() => listening() ?? output.stderr, { timeout: PROCESS_LIMIT_MS }).toContain('"listening"');
    const { ports } = JSON.parse(listening() ?? '{}') as { ports: { edge: number; ops: number } };
    const { hostname } = new URL(replica.edge);
    const read = await http(`http://${hostname}:${ports.edge}`, `/${BUCKET}/a`);
    expect(sha256(read.body)).toBe(sha256(body));
    const ops = `http://${hostname}:${ports.ops}`;
    await expect.poll(async () => (await http(ops, '/readyz')).status, { timeout: 10_000 }).toBe(200);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(output.stdout).toContain('"stopped"');
    expect(output.stderr).toBe('');
    expect((await cache.stored()).size).toBe(4);
    for (const line of output.stdout.trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
    expect(output.stdout).not.toContain(cache.origin.secretAccessKey);
  });
});
