/** Pods with several workers: real processes that share a port. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { http, sha256 } from '#test/support/http.ts';
import { syntheticBytes } from '#test/support/synthetic-content.ts';
import { startSyntheticOrigin, type SyntheticOrigin } from '#test/support/synthetic-s3.ts';
import { startWorkerPods, type WorkerPod, type WorkerPods } from '#test/support/worker-pods.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const MIB = 1024 * 1024;
/** Node starts in half a second, and much later on a busy machine. */
const PROCESS_LIMIT_MS = 30_000;
const hashOf = (key: string, sizeBytes: number): string =>
  sha256(Buffer.concat([...syntheticBytes(key, 0, sizeBytes)]));

describe('two pods with two workers each', () => {
  let origin: SyntheticOrigin;
  let cluster: WorkerPods;
  beforeAll(async () => {
    origin = await startSyntheticOrigin();
    cluster = await startWorkerPods({ pods: 2, workers: 2, originEndpoint: origin.endpoint });
  }, 60_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  });

  test('are four peers, and each worker has its own identity', async () => {
    const workers = await Promise.all(cluster.pods.map((pod) => pod.workers()));
    expect(workers.flat().map(({ state, ready, restarts }) => ({ state, ready, restarts }))).toEqual(
      Array.from({ length: 4 }, () => ({ state: 'running', ready: true, restarts: 0 })),
    );
    expect(new Set(workers.flat().map(({ self }) => self)).size).toBe(4);
    expect(await cluster.pods[0]!.metric('orca_peers')).toBe(4);
    expect(await cluster.pods[0]!.metric('orca_workers')).toBe(2);
  });

  test('a cold object that many clients read comes from the origin once', async () => {
    const key = `${8 * MIB}-once`;
    const before = origin.counts.bytes;
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, index) => http(cluster.pods[index % 2]!.edge, `/${cluster.bucket}/${key}`)),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${sha256(body)}`))).toEqual(
      new Set([`200 ${hashOf(key, 8 * MIB)}`]),
    );
    expect(origin.counts.bytes - before).toBe(8 * MIB);
    const requests = await Promise.all(
      cluster.pods.map((pod) => pod.metric('orca_edge_requests_total', { code: '200' })),
    );
    expect(requests[0]! + requests[1]!).toBe(24);
  });
});

describe('a pod with two workers', () => {
  let origin: SyntheticOrigin;
  beforeAll(async () => {
    origin = await startSyntheticOrigin();
  });
  afterAll(() => origin[Symbol.asyncDispose]());
  const start = (options: object = {}) => startWorkerPods({ workers: 2, originEndpoint: origin.endpoint, ...options });
  const untilRestarted = (pod: WorkerPod) =>
    expect
      .poll(async () => (await pod.workers()).map(({ state, restarts }) => `${state} ${restarts}`), {
        timeout: PROCESS_LIMIT_MS,
      })
      .toEqual(['running 1', 'running 0']);

  test('loses only the connections of a worker that is killed, and starts it again', async () => {
    await using cluster = await start({ pods: 2 });
    const [pod, other] = cluster.pods as [WorkerPod, WorkerPod];
    const key = `${4 * MIB}-crash`;
    const read = async (from: WorkerPod, target = key) => http(from.edge, `/${cluster.bucket}/${target}`);
    await read(pod);
    const servedBefore = await pod.metric('orca_edge_requests_total');
    const [killed, kept] = await pod.workers();
    process.kill(killed!.pid!, 'SIGKILL');
    // The kernel may still give connections to a process that is being ended: those are its connections.
    await expect.poll(async () => (await pod.workers())[0]!.state).toBe('restarting');
    expect((await http(pod.ops, '/readyz')).status).toBe(200);
    expect((await http(pod.ops, '/livez')).status).toBe(200);
    expect(await pod.metric('orca_workers')).toBe(1);

    // Meanwhile every read through either pod succeeds, also of chunks that the killed worker coordinates.
    const startedMs = performance.now();
    const answers = [];
    for (let round = 0; round < 12; round++)
      answers.push(await read(round % 2 === 0 ? pod : other, `${MIB}-after-${round}`));
    const tookMs = performance.now() - startedMs;
    expect(answers.map(({ status, complete }) => `${status} ${complete}`)).toEqual(answers.map(() => '200 true'));
    for (const [round, { body }] of answers.entries()) expect(sha256(body)).toBe(hashOf(`${MIB}-after-${round}`, MIB));
    // A replica that did not notice would wait for 3 s for each of its chunks.
    expect(tookMs / answers.length).toBeLessThan(1000);

    await untilRestarted(pod);
    const [again, same] = await pod.workers();
    expect(again!.pid).not.toBe(killed!.pid);
    expect(again!.self).toBe(killed!.self);
    expect(same!.pid).toBe(kept!.pid);
    expect(await pod.metric('orca_worker_restarts_total')).toBe(1);
    expect(await pod.metric('orca_edge_requests_total')).toBeGreaterThanOrEqual(servedBefore);
  });

  test('finishes its responses when the supervisor gets SIGTERM, and ends with 0', async () => {
    await using cluster = await start();
    const pod = cluster.pods[0]!;
    const key = `${4 * MIB}-slow`;
    origin.stopAfter(100_000);
    const reading = Array.from({ length: 6 }, () => http(pod.edge, `/${cluster.bucket}/${key}`));
    await expect.poll(() => pod.metric('orca_fills_running')).toBeGreaterThan(0);
    pod.kill('SIGTERM');
    await expect.poll(() => pod.logs()).toContain('"stopping"');
    expect((await http(pod.ops, '/readyz')).status).toBe(503);
    await expect.poll(async () => (await http(pod.edge, `/${cluster.bucket}/none`)).status).toBe(0);
    origin.stopAfter(undefined);
    for (const answer of await Promise.all(reading))
      expect(`${answer.status} ${answer.complete} ${sha256(answer.body)}`).toBe(`200 true ${hashOf(key, 4 * MIB)}`);
    expect(await pod.exited).toBe(0);
    expect(pod.logs().match(/worker: stopped/g)).toHaveLength(2);
  });

  test('its workers end when the supervisor is killed', async () => {
    await using cluster = await start();
    const pod = cluster.pods[0]!;
    const workers = await pod.workers();
    pod.kill('SIGKILL');
    await pod.exited;
    const isAlive = ({ pid }: { readonly pid: number | null }): boolean => {
      try {
        return process.kill(pid!, 0);
      } catch {
        return false;
      }
    };
    await expect.poll(() => workers.filter(isAlive), { timeout: PROCESS_LIMIT_MS }).toEqual([]);
    expect(pod.logs()).toContain('the supervisor has ended');
  });

  test('is purged by the command in its container', async () => {
    await using cluster = await start();
    const { status, output } = await run('purge', cluster.bucket, 'a/b', '--config', cluster.configFile);
    expect({ status, output }).toEqual({ status: 0, output: 'purged 1\n' });
  });

  test('explains an object as one replica', async () => {
    await using cluster = await start();
    const pod = cluster.pods[0]!;
    const key = `${2 * MIB}-explained`;
    // Twice, because memory admits a chunk that is read again; by several connections, because each has its worker.
    for (let round = 0; round < 8; round++) await http(pod.edge, `/${cluster.bucket}/${key}`);
    await expect
      .poll(
        async () => {
          const { body } = await http(pod.ops, `/objects?bucket=${cluster.bucket}&key=${key}`);
          const { chunks } = JSON.parse(body.toString()) as { chunks: { inMemory: boolean; stored: boolean }[] };
          return chunks.map(({ inMemory, stored }) => ({ inMemory, stored }));
        },
        { timeout: PROCESS_LIMIT_MS },
      )
      .toEqual([
        { inMemory: true, stored: true },
        { inMemory: true, stored: true },
      ]);
  });

  test('has the same series as a pod with one worker', async () => {
    await using cluster = await start();
    await using alone = await start({ workers: 1 });
    const namesOf = async ({ ops }: WorkerPod): Promise<readonly string[]> => {
      const { body } = await http(ops, '/metrics');
      return [...body.toString().matchAll(/^# TYPE (\S+) \S+$/gm)].map(([, name]) => name!).toSorted();
    };
    expect(await namesOf(cluster.pods[0]!)).toEqual(await namesOf(alone.pods[0]!));
    expect(await alone.pods[0]!.workers()).toMatchObject([{ index: 0, state: 'running', restarts: 0, ready: true }]);
  });
});

describe('a configuration with which no worker can start', () => {
  async function ended(change: (text: string) => string): Promise<{ status: number | null; output: string }> {
    await using origin = await startSyntheticOrigin();
    await using cluster = await startWorkerPods({ workers: 2, originEndpoint: origin.endpoint });
    const file = `${cluster.configFile}.changed.yaml`;
    await writeFile(file, change(await readFile(cluster.configFile, 'utf8')));
    return await run('--config', file);
  }

  test('ends the process with its problem if the file is invalid', async () => {
    const { status, output } = await ended((text) => text.replace('budget: 64Mi', 'budget: 4Mi'));
    expect(status).toBe(1);
    expect(output).toContain('memory.budget: must be at least four times the largest chunk size');
  });

  test('ends the process if a port is taken', async () => {
    const { status, output } = await ended((text) => text.replace(/ops: 127\.0\.0\.1:\d+/, 'ops: 127.0.0.1:0'));
    expect(status).toBe(1);
    expect(output).toMatch(/EADDRINUSE/);
    expect(output).toContain('could not start');
  });
});

async function run(...args: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, ['cache/main.ts', ...args], { cwd: REPOSITORY });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += String(data)));
  const timer = delay(PROCESS_LIMIT_MS, undefined, { ref: false }).then(() => child.kill('SIGKILL'));
  const [status] = (await Promise.race([once(child, 'close'), timer.then(() => [null])])) as [number | null];
  return { status, output };
}
