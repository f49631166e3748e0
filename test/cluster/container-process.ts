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
