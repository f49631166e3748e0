/** The replicas: processes of the cache workload, as in pods. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { configOf, type ReplicaPlan } from './config.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** Node starts in half a second; an origin far away has to answer, too. */
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 100;
const PROBE_TIMEOUT_MS = 2_000;
/** Longer than the drain of the config. */
const STOP_TIMEOUT_MS = 6_000;
/** The end of the log that is printed when a replica does not start. */
const SHOWN_LINES = 8;

/** A replica that does not start: its message is for the user. */
export class StartError extends Error {}

export interface Replica {
  /** `http://127.0.0.1:PORT` each. */
  readonly edge: string;
  readonly ops: string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** Not ready yet. */
export async function startReplica(plan: ReplicaPlan, index: number, folder: string): Promise<Replica> {
  const file = join(folder, `replica-${index}.yaml`);
  await writeFile(file, stringify(configOf(plan, index)));
  const log = openSync(logFile(folder, index), 'w');
  const child = spawn(process.execPath, ['cache/main.ts', '--config', file], {
    cwd: REPOSITORY,
    stdio: ['ignore', log, log],
    // Ctrl-C reaches the whole process group: the replicas end when this program asks them to.
    detached: true,
  });
  closeSync(log);
  const ended = once(child, 'exit').then(
    () => {},
    () => {},
  );
  const { edge, ops } = plan.ports[index] ?? { edge: 0, ops: 0 };
  return {
    edge: `http://127.0.0.1:${edge}`,
    ops: `http://127.0.0.1:${ops}`,
    ended,
    stop: () => stop(child, ended),
  };
}

export function logFile(folder: string, index: number): string {
  return join(folder, `replica-${index}.log`);
}

/** Resolves when the replica is ready. Rejects with a StartError that names the check that fails. */
export async function waitUntilReady({ ops, ended }: Replica, log: string, signal: AbortSignal): Promise<void> {
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  let checks = 'it does not answer';
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    signal.throwIfAborted();
    if (hasEnded) throw new StartError(`a replica has ended:\n${await lastLines(log)}`);
    try {
      const response = await fetch(`${ops}/readyz?verbose`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      if (response.ok) return;
      checks = (await response.text()).trim();
    } catch {
      // Not listening yet.
    }
    if (performance.now() > deadline)
      throw new StartError(`not ready within ${READY_TIMEOUT_MS / 1000} s:\n${checks}\nThe log: ${log}`);
    await delay(POLL_MS, undefined, { signal });
  }
}

async function lastLines(log: string): Promise<string> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return lines.slice(-SHOWN_LINES).join('\n');
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
