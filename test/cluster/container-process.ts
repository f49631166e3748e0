/** The processes of pods: the nodes run on this machine, which knows all of their processes. */
import { readdir, readFile } from 'node:fs/promises';

/** The first process of a container, by its id without the prefix `containerd://`. */
export async function processOf(containerId: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const pid of pids.toSorted((a, b) => a - b)) {
    // The process may have exited meanwhile.
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    if (groups.includes(containerId)) return pid;
  }
  throw new Error(`no process of container ${containerId}`);
}

/** The processes that a process has started and that still run, oldest first. */
export async function childrenOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(
    pids.map(async (each) => {
      const status = await readFile(`/proc/${each}/status`, 'utf8').catch(() => '');
      return { pid: each, parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) };
    }),
  );
  return parents
    .filter(({ parent }) => parent === pid)
    .map((child) => child.pid)
    .toSorted((a, b) => a - b);
}
