/** rclone, with the provider `Other`, for servers that it has no provider for. */
import { join } from 'node:path';
import { BUCKET } from '#test/support/replicas.ts';
import { runProgram } from './programs.ts';
import { filesIn, linesOf, readRanges, type Reading } from './reading.ts';
import type { World } from './world.ts';

export async function readWithRclone({ endpoint, key, directory, env }: World, program: string): Promise<Reading> {
  const rclone = (...parameters: string[]) =>
    runProgram(program, parameters, {
      env: {
        ...env,
        RCLONE_CONFIG: '/dev/null',
        RCLONE_CONFIG_CACHE_TYPE: 's3',
        RCLONE_CONFIG_CACHE_PROVIDER: 'Other',
        RCLONE_CONFIG_CACHE_ENDPOINT: endpoint,
        RCLONE_CONFIG_CACHE_ACCESS_KEY_ID: key.accessKeyId,
        RCLONE_CONFIG_CACHE_SECRET_ACCESS_KEY: key.secretAccessKey,
      },
    });
  const listed = linesOf(await rclone('lsf', '--recursive', '--files-only', `cache:${BUCKET}`));
  const root = join(directory, 'rclone');
  await rclone('copy', `cache:${BUCKET}`, root);
  const whole = await filesIn(root);
  await rclone('check', '--download', `cache:${BUCKET}`, root);
  const ranges = await readRanges((name, from, to) =>
    rclone('cat', '--offset', `${from}`, '--count', `${to - from}`, `cache:${BUCKET}/${name}`),
  );
  return { listed: listed.toSorted(), whole, ranges };
}
