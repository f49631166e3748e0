import { readdir, readFile } from 'node:fs/promises';

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
