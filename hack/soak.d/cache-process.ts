/** Runs a replica as a separate process, like in a pod, so that its resources can be measured. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { childrenOf } from '#test/support/child-processes.ts';
import { http } from '#test/support/http.ts';

/** The same as in a pod. */
const NODE_OPTIONS = '--max-old-space-size=256';
const START_MS = 60_000;
const STOP_MS = 30_000;
const POLL_MS = 100;

export interface CacheProcess {
  readonly name: string;
  readonly edge: string;
  readonly logFile: string;
  readonly exited: boolean;
  /** Stops the process and its workers with SIGSTOP. */
  freeze(): Promise<void>;
  /** Continues them with SIGCONT. */
  thaw(): Promise<void>;
  /** Kills one of its workers; the supervisor restarts it. Without workers, nothing happens. */
  killWorker(): Promise<void>;
  sample(): Promise<ProcessSample>;
  stop(): Promise<void>;
}

/** With workers, the sums over all processes. */
export interface ProcessSample {
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly sockets: number;
  /** Metrics by name, each summed over its labels. */
  readonly metrics: ReadonlyMap<string, number>;
}

export async function startCacheProcess(
  name: string,
  directory: string,
  config: object,
  listen: { readonly edge: string; readonly ops: string },
): Promise<CacheProcess> {
  const file = join(directory, `${name}.yaml`);
  const logFile = join(directory, `${name}.log`);
  await writeFile(file, stringify(config));
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, ['cache/main.ts', '--config', file], {
    stdio: ['ignore', log, log],
    env: { ...process.env, NODE_OPTIONS },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const pid = child.pid ?? 0;
  const all = async (): Promise<number[]> => [pid, ...(await childrenOf(pid))];
  const signalAll = async (signal: NodeJS.Signals): Promise<void> => {
    for (const each of await all()) signalProcess(each, signal);
  };
  const stop = async (): Promise<void> => {
    if (!hasExited()) await signalAll('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  };
  const deadlineMs = performance.now() + START_MS;
  const ops = `http://${listen.ops}`;
  while ((await http(ops, '/readyz')).status !== 200) {
    if (hasExited() || performance.now() > deadlineMs) {
      await stop();
      throw new Error(`${name} did not become ready: ${await readFile(logFile, 'utf8')}`);
    }
    await delay(POLL_MS);
  }
  return {
    name,
    edge: `http://${listen.edge}`,
    logFile,
    get exited() {
      return hasExited();
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    async killWorker() {
      const [worker] = await childrenOf(pid);
      if (worker !== undefined) signalProcess(worker, 'SIGKILL');
    },
    async sample() {
      const processes = await all();
      const rss = await Promise.all(processes.map(rssBytesOf));
      const descriptors = (await Promise.all(processes.map(descriptorsOf))).flat();
      const { body } = await http(ops, '/metrics');
      return {
        rssBytes: rss.reduce((sum, bytes) => sum + bytes, 0),
        descriptors: descriptors.length,
        sockets: descriptors.filter((target) => target.startsWith('socket:')).length,
        metrics: sumsOf(body.toString()),
      };
    },
    stop,
  };
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // A worker may have ended meanwhile.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function rssBytesOf(pid: number): Promise<number> {
  // A worker may have ended since it was listed.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

async function descriptorsOf(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  // Ignores descriptors that are closed between the two calls.
  const target = (name: string): Promise<string> => readlink(join(directory, name)).catch(() => 'closed');
  const targets = await Promise.all((await readdir(directory).catch(() => [])).map(target));
  return targets.filter((open) => open !== 'closed');
}

function sumsOf(text: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line) ?? [];
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}
