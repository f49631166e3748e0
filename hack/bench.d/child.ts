/** A program under measurement or beside it: started, watched through /proc, ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** The last lines that it wrote, for who has to say why it ended. */
  lastWords(): string;
  readonly hasEnded: boolean;
}

export interface Usage {
  readonly cpuSeconds: number;
  /** The most it ever had resident since the last `forgetPeak`. */
  readonly peakBytes: number;
}

const STOP_TIMEOUT_MS = 5_000;
const LAST_WORDS = 4_096;
/** USER_HZ, which Linux shows to programs as 100 everywhere. */
const TICKS_PER_SECOND = 100;

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: (text: string) => void;
}

const running = new Set<ChildProcess>();
// Also where the bench is interrupted in the middle of starting them.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-LAST_WORDS);
      options.onOutput?.(text);
    });
  child.once('error', (error) => (output += error.message));
  running.add(child);
  child.once('close', () => running.delete(child));
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    get pid() {
      return pidOf(child, output);
    },
    lastWords: () => output,
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** All that these processes have used so far. */
export function usageOf(pids: readonly number[]): Usage {
  let cpuSeconds = 0;
  let peakBytes = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the fields behind it do not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    cpuSeconds += (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    peakBytes += Number(peak ?? 0) * 1024;
  }
  return { cpuSeconds, peakBytes };
}

/** From here on `peakBytes` counts anew. */
export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Until a server of ours answers under `/-/ready`. */
export function waitForReady(name: string, url: string, child: Child, limitMs: number): Promise<void> {
  return waitFor(name, limitMs, async () => {
    if (child.hasEnded) throw new Error(child.lastWords());
    return (await fetch(`${url}/-/ready`)).status === 204;
  });
}

/** Polls until `check` says yes. */
export async function waitFor(what: string, limitMs: number, check: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + limitMs;
  let cause: unknown;
  while (performance.now() < endMs) {
    try {
      if (await check()) return;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`gave up waiting for ${what} after ${limitMs} ms`, { cause });
}

function pidOf({ pid }: ChildProcess, output: string): number {
  if (pid === undefined) throw new Error(`the program did not start: ${output}`);
  return pid;
}
