/** A small file system in memory, for servers and stores whose disk gets full. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rmdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk extends AsyncDisposable {
  readonly directory: string;
  freeBytes(): Promise<number>;
}

/**
 * It lies in the mount namespace of a process, which ends with it; others reach it by that process. That works without root,
 * as root of a user namespace.
 */
export async function startSmallDisk(sizeBytes: number): Promise<SmallDisk> {
  const mountPoint = await mkdtemp(join(tmpdir(), 'orca-disk-'));
  const who = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const script = `mount -t tmpfs -o size=${sizeBytes} tmpfs "$0" && echo mounted && exec sleep infinity`;
  const child = spawn('unshare', ['--mount', ...who, 'sh', '-c', script, mountPoint], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close');
  let problem = '';
  child.stderr.on('data', (data: Buffer) => (problem += String(data)));
  const [first] = (await Promise.race([once(child.stdout, 'data'), exited])) as unknown[];
  if (String(first) !== 'mounted\n')
    throw new Error(`a file system of ${sizeBytes} bytes cannot be mounted: ${problem}`);
  const directory = `/proc/${child.pid}/root${mountPoint}`;
  return {
    directory,
    async freeBytes() {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      await rmdir(mountPoint);
    },
  };
}
