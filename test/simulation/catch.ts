/**
 * Finds a seed that currently detects each mutation, for `seed` in mutations.ts. Engine and scenarios change, and the
 * test is fast only while the first seed it tries detects the mutation.
 *
 *   node test/simulation/catch.ts [PART-OF-A-NAME]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runMutant } from './mutant.ts';
import { MUTATIONS, seedsFor } from './mutations.ts';

const wanted = process.argv[2] ?? '';
const waiting = MUTATIONS.filter(({ name }) => name.includes(wanted)).values();
const cacheFolder = await mkdtemp(join(tmpdir(), 'orca-mutants-'));
try {
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
} finally {
  await rm(cacheFolder, { recursive: true });
}

async function lane(): Promise<void> {
  for (const mutation of waiting) {
    const startedMs = performance.now();
    const line = await runMutant(mutation.edits, seedsFor(mutation), cacheFolder);
    const seed = /--seed (\d+)/.exec(line ?? '')?.[1] ?? 'none';
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${seed.padStart(5)} ${seconds.padStart(6)} s  ${mutation.name}: ${line?.replace(/^.*# /, '') ?? '-'}`);
  }
}
