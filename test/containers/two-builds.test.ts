/** Two builds at once from two cache folders: they share the machine's private engine, and none stops it under the other. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { getContainerRuntimeClient } from 'testcontainers';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const CACHE_FOLDER = process.env['ORCACACHE_CACHE_DIR'] ?? join(homedir(), '.cache/orcacache');
/** A build takes seconds, and the first one loads the base image. */
const TIMEOUT_MS = 300_000;

/** With the tools that are installed already. */
async function cacheFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orca-cache-folder-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'logs'));
  await symlink(join(CACHE_FOLDER, 'items'), join(folder, 'items'));
  return folder;
}

test(
  'two builds from two cache folders at once both succeed, and the engine of a third user stays',
  async () => {
    const build = async (tag: string): Promise<string> => {
      const { DOCKER_HOST: _, ...env } = process.env;
      const options = { env: { ...env, ORCACACHE_CACHE_DIR: await cacheFolder() }, timeout: TIMEOUT_MS };
      return (await run(join(ROOT, 'hack/image'), ['cache', '--tag', tag], options)).stdout;
    };
    const outputs = await Promise.all([build('two-builds-a'), build('two-builds-b')]);
    expect(outputs.map((output) => output.trimEnd().split('\n').at(-1))).toEqual([
      expect.stringContaining('image: cache with the tag two-builds-a'),
      expect.stringContaining('image: cache with the tag two-builds-b'),
    ]);
    const { container } = await getContainerRuntimeClient();
    await expect(container.list()).resolves.toBeInstanceOf(Array);
  },
  TIMEOUT_MS,
);
