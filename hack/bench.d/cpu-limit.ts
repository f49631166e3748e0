/**
 * Limits processes to a part of a core, with a control group for each. That requires permission to create one: root,
 * outside of most containers. Without it there is no limit, and the results
 * report that.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type CpuLimits = 'cgroup v1' | 'cgroup v2' | 'none';

const ROOT = '/sys/fs/cgroup';
/** The period of the kernel's default and of Kubernetes. */
const PERIOD_US = 100_000;
const FOLDER_PREFIX = 'orcacache-bench-';
const OWN_PREFIX = `${FOLDER_PREFIX}${process.pid}-`;

interface Kind {
  readonly name: Exclude<CpuLimits, 'none'>;
  readonly folder: string;
  /** File → content that sets the limit, and the largest weight, so that other work of the machine takes nothing of it. */
  limit(cpus: number): Readonly<Record<string, string>>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'cgroup v1',
    folder: join(ROOT, 'cpu'),
    limit: (cpus) => ({
      'cpu.shares': '262144',
      'cpu.cfs_period_us': String(PERIOD_US),
      'cpu.cfs_quota_us': String(Math.round(cpus * PERIOD_US)),
    }),
  },
  {
    name: 'cgroup v2',
    folder: ROOT,
    limit: (cpus) => ({ 'cpu.weight': '10000', 'cpu.max': `${Math.round(cpus * PERIOD_US)} ${PERIOD_US}` }),
  },
];

/** Created groups, for `removeGroups`. */
const groups: string[] = [];
// Also after an interrupt. The kernel keeps a group until its processes have ended.
process.once('exit', removeGroups);

let found: CpuLimits | undefined;

/** What this machine allows. */
export function cpuLimits(): CpuLimits {
  found ??= KINDS.find((kind) => isUsable(kind))?.name ?? 'none';
  return found;
}

/** Limits each of these processes for itself. Returns false if the machine does not allow it. */
export function limitEach(pids: readonly (readonly number[])[], cpus: number): boolean {
  const name = cpuLimits();
  const kind = KINDS.find((candidate) => candidate.name === name);
  if (kind === undefined) return false;
  for (const together of pids) {
    const group = create(kind, cpus);
    for (const pid of together) writeFileSync(join(group, 'cgroup.procs'), String(pid));
  }
  return true;
}

/** Removes the groups whose processes have ended. */
export function removeGroups(): void {
  for (const group of groups.splice(0)) {
    try {
      rmdirSync(group);
    } catch {
      groups.push(group);
    }
  }
}

/** An interrupted run may have ended before its processes, which keep their groups. */
function removeAbandoned(kind: Kind): void {
  for (const name of readdirSync(kind.folder)) {
    const [, pid] = new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) groups.push(join(kind.folder, name));
  }
  removeGroups();
}

function isUsable(kind: Kind): boolean {
  if (!existsSync(join(kind.folder, 'cgroup.procs'))) return false;
  removeAbandoned(kind);
  try {
    create(kind, 1);
    return true;
  } catch {
    return false;
  } finally {
    removeGroups();
  }
}

function create(kind: Kind, cpus: number): string {
  if (kind.name === 'cgroup v2') enableController(kind.folder);
  const used = new Set(readdirSync(kind.folder));
  let number = 0;
  while (used.has(`${OWN_PREFIX}${number}`)) number++;
  const group = join(kind.folder, `${OWN_PREFIX}${number}`);
  mkdirSync(group);
  groups.push(group);
  for (const [file, content] of Object.entries(kind.limit(cpus))) writeFileSync(join(group, file), content);
  return group;
}

function enableController(folder: string): void {
  const file = join(folder, 'cgroup.subtree_control');
  if (!readFileSync(file, 'utf8').split(/\s/).includes('cpu')) writeFileSync(file, '+cpu');
}
