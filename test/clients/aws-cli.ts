/** The AWS CLI: `s3` transfers in parallel ranges, `s3api` sends single requests. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUCKET } from '#test/support/replicas.ts';
import { runProgram } from './programs.ts';
import { filesIn, linesOf, type Reading } from './reading.ts';
import { RANGES, sha256 } from './tree.ts';
import type { World } from './world.ts';

/** The columns with date, time and size precede each name. */
const LIST_COLUMNS = 31;

export type Aws = (...parameters: string[]) => Promise<Buffer>;

export function awsCli({ endpoint, key, env }: World, program: string): Aws {
  return (...parameters) =>
    runProgram(program, ['--endpoint-url', endpoint, '--region', 'us-east-1', ...parameters], {
      env: { ...env, AWS_ACCESS_KEY_ID: key.accessKeyId, AWS_SECRET_ACCESS_KEY: key.secretAccessKey },
    });
}

/** Downloads the tree to `<directory>/aws`. */
export async function readWithAwsCli(world: World, aws: Aws): Promise<Reading> {
  const lines = linesOf(await aws('s3', 'ls', '--recursive', `s3://${BUCKET}/`));
  const root = join(world.directory, 'aws');
  await aws('s3', 'sync', '--no-progress', `s3://${BUCKET}/`, root);
  // In parallel: each call is a process that takes a second to start.
  const ranges = await Promise.all(
    RANGES.map(async ([key, from, to], index) => {
      const file = join(world.directory, `part-${index}`);
      await aws('s3api', 'get-object', '--bucket', BUCKET, '--key', key, '--range', `bytes=${from}-${to - 1}`, file);
      return sha256(await readFile(file));
    }),
  );
  return { listed: lines.map((line) => line.slice(LIST_COLUMNS)).toSorted(), whole: await filesIn(root), ranges };
}
