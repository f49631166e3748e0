/** Runs the simulation with a mutation of its sources, in a process of its own. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { edited, EDITS_VARIABLE, REPOSITORY, type Edit } from './edits.ts';

const FOLDER = `${REPOSITORY}test/simulation/`;
/** A mutant may loop forever. */
const TIMEOUT_MS = 180_000;

/**
 * Runs `seeds` one after the other. Returns the line that replays the first failure; undefined if no seed fails.
 * `cacheFolder` keeps compiled sources for the next mutant, which saves most of its start-up time.
 */
export async function runMutant(
  edits: readonly Edit[],
  seeds: readonly number[],
  cacheFolder: string,
): Promise<string | undefined> {
  for (const [file, own] of Map.groupBy(edits, ({ file }) => file))
    own.reduce(edited, readFileSync(REPOSITORY + file, 'utf8'));
  const env = { ...process.env, [EDITS_VARIABLE]: JSON.stringify(edits), NODE_COMPILE_CACHE: cacheFolder };
  const args = ['--import', `${FOLDER}mutating-loader.ts`, `${FOLDER}main.ts`, '--list', seeds.join(',')];
  try {
    await promisify(execFile)(process.execPath, args, { env, timeout: TIMEOUT_MS });
    return undefined;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    const line = stdout?.split('\n').find((candidate) => candidate.startsWith('hack/test simulation --seed'));
    // A mutant that does not run proves nothing.
    if (line === undefined) throw error;
    return line;
  }
}
