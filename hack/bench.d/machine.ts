/** Describes the machine and the programs of a run, which its numbers depend on. */
import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { cpuLimits, type CpuLimits } from './cpu-limit.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Undefined without nginx. */
  readonly nginx?: string;
  /** How processes were limited to a part of a core. */
  readonly cpuLimits: CpuLimits;
}

export function describeMachine(nginx: string | undefined): Machine {
  const all = cpus();
  const nginxVersion =
    nginx === undefined ? undefined : /nginx\/(\S+)/.exec(spawnSync(nginx, ['-v'], { encoding: 'utf8' }).stderr)?.[1];
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version.slice(1),
    ...(nginxVersion === undefined ? {} : { nginx: nginxVersion }),
    cpuLimits: cpuLimits(),
  };
}

/** The commit of a checkout; `changed` if its code differs from it. Undefined outside of a repository. */
export function commitOf(checkout: string): { readonly commit: string; readonly isChanged: boolean } | undefined {
  const git = (...args: readonly string[]) => spawnSync('git', ['-C', checkout, ...args], { encoding: 'utf8' });
  const { status, stdout } = git('rev-parse', '--short=12', 'HEAD');
  if (status !== 0) return undefined;
  const changes = git('status', '--porcelain', '--untracked-files=no', '--', 'cache', 'shared', 'hack/bench.d');
  return { commit: stdout.trim(), isChanged: changes.stdout.trim() !== '' };
}
