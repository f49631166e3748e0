/** Runs our scripts around client libraries: the job on stdin, the result on stdout. */
import { join } from 'node:path';
import { BUCKET } from '#test/support/replicas.ts';
import { runProgram } from './programs.ts';
import { EXPECTED, type Reading } from './reading.ts';
import { RANGES } from './tree.ts';
import type { World } from './world.ts';

/** `interpreter` is the one that the libraries are installed for. */
export async function readWithScript(world: World, interpreter: string, script: string): Promise<Reading> {
  return (await runScript(world, interpreter, [script])) as Reading;
}

export async function runScript(
  { endpoint, key, env, caFile }: World,
  interpreter: string,
  [script, ...parameters]: readonly [string, ...string[]],
  more: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const job = { endpoint, bucket: BUCKET, ...key, keys: EXPECTED.listed, ranges: RANGES, caFile, ...more };
  const path = join(import.meta.dirname, script);
  return JSON.parse(
    (await runProgram(interpreter, [path, ...parameters], { input: JSON.stringify(job), env })).toString(),
  );
}
