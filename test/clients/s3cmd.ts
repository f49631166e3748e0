/** s3cmd: V1 lists and one GET per object. It checks the ETag against the body's MD5. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUCKET } from '#test/support/replicas.ts';
import { runProgram } from './programs.ts';
import { filesIn, linesOf, type Reading } from './reading.ts';
import { sha256 } from './tree.ts';
import type { World } from './world.ts';

const ROOT = `s3://${BUCKET}/`;

export async function readWithS3cmd(world: World, program: string): Promise<Omit<Reading, 'ranges'>> {
  const { host } = new URL(world.endpoint);
  const s3cmd = (...parameters: string[]) =>
    runProgram(program, [
      '--config=/dev/null',
      `--access_key=${world.key.accessKeyId}`,
      `--secret_key=${world.key.secretAccessKey}`,
      `--host=${host}`,
      `--host-bucket=${host}`,
      ...(world.caFile === undefined ? ['--no-ssl'] : ['--ssl', `--ca-certs=${world.caFile}`]),
      '--no-progress',
      ...parameters,
    ]);
  const lines = linesOf(await s3cmd('ls', '--recursive', ROOT));
  const listed = lines.map((line) => line.slice(line.indexOf(ROOT) + ROOT.length)).toSorted();
  const root = join(world.directory, 's3cmd');
  await s3cmd('sync', ROOT, `${root}/`);
  const whole = await filesIn(root);
  const file = join(world.directory, 's3cmd-one');
  await s3cmd('get', `${ROOT}dir/two.bin`, file);
  return { listed, whole: { ...whole, 'dir/two.bin': sha256(await readFile(file)) } };
}
