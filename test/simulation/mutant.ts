/** A copy of the sources in which something is broken, and the simulation run on it by a process of its own. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Edit } from './mutations.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
/** What the simulation loads. */
const PARTS = ['package.json', 'cache', 'shared', 'test/simulation'];
/** A mutant that spins never comes back. */
const TIMEOUT_MS = 180_000;

export interface Mutants extends AsyncDisposable {
  /** The line that replays the failure; undefined if `count` seeds from `from` on find nothing. */
  run(edits: readonly Edit[], from: number, count: number): Promise<string | undefined>;
}

export async function openMutants(): Promise<Mutants> {
  const folder = await mkdtemp(join(tmpdir(), 'orca-mutants-'));
  for (const part of PARTS) await cp(join(REPOSITORY, part), join(folder, part), { recursive: true });
  return {
    async run(edits, from, count) {
      const originals = new Map<string, string>();
      try {
        for (const edit of edits) {
          const path = join(folder, edit.file);
          const text = await readFile(path, 'utf8');
          if (!originals.has(path)) originals.set(path, text);
          await writeFile(path, edited(text, edit));
        }
        return await simulate(folder, from, count);
      } finally {
        for (const [path, text] of originals) await writeFile(path, text);
      }
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true });
    },
  };
}

function edited(text: string, { file, search, replace }: Edit): string {
  const found = text.split(search).length - 1;
  if (found !== 1) throw new Error(`${file} holds ${found} times what a mutation replaces: ${search}`);
  return text.replace(search, () => replace);
}

async function simulate(folder: string, from: number, count: number): Promise<string | undefined> {
  const script = join(folder, 'test/simulation/main.ts');
  const run = promisify(execFile);
  try {
    await run(process.execPath, [script, '--from', String(from), '--seeds', String(count)], { timeout: TIMEOUT_MS });
    return undefined;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    const line = stdout?.split('\n').find((candidate) => candidate.startsWith('hack/test simulation --seed'));
    // A mutant that does not even run proves nothing.
    if (line === undefined) throw error;
    return line;
  }
}
