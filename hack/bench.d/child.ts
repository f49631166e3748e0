/** Starts and stops programs, and reads their resource use from /proc. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** The end of its output, for error messages. */
  recentOutput(): string;
  readonly hasEnded: boolean;
}

export interface Usage {
  readonly cpuSeconds: number;
  /** Maximum resident memory since the last `resetPeak`. */
  readonly peakBytes: number;
}

const STOP_TIMEOUT_MS = 5_000;
const OUTPUT_CHARACTERS = 4_096;
/** USER_HZ, which is 100 on all architectures of Linux. */
const TICKS_PER_SECOND = 100;

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: (text: string) => void;
}

const running = new Set<ChildProcess>();
// Also if the program is interrupted while it starts them.
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
      output = (output + text).slice(-OUTPUT_CHARACTERS);
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
    recentOutput: () => output,
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

/** The resources that these processes have used so far. */
export function usageOf(pids: readonly number[]): Usage {
  let cpuSeconds = 0;
  let peakBytes = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may contain spaces; the fields after it do not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    cpuSeconds += (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    peakBytes += Number(peak ?? 0) * 1024;
  }
  return { cpuSeconds, peakBytes };
}

/** The processes that a process has started itself. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' '))
    .filter((child) => child !== '')
    .map(Number);
}

/** Resets `peakBytes` to the memory that is resident now. */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Waits until one of our test servers responds to `/-/ready`. */
export function waitForReady(name: string, url: string, child: Child, limitMs: number): Promise<void> {
  return waitFor(name, limitMs, async () => {
    if (child.hasEnded) throw new Error(child.recentOutput());
    return (await fetch(`${url}/-/ready`)).status === 204;
  });
}

/** Polls until `check` returns true. */
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
  throw new Error(`timed out after ${limitMs} ms waiting for ${what}`, { cause });
}

function pidOf({ pid }: ChildProcess, output: string): number {
  if (pid === undefined) throw new Error(`the program did not start: ${output}`);
  return pid;
}
