/** The oracle is known to bite: each deliberate breakage is noticed within a bounded number of seeds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runMutant } from './mutant.ts';
import { MUTATIONS, seedsFor } from './mutations.ts';

/** Sixty seeds on a machine that is busy with everything else. */
const TIMEOUT_MS = 200_000;

describe.concurrent('the oracle notices that', () => {
  let cacheFolder: string;
  beforeAll(async () => {
    cacheFolder = await mkdtemp(join(tmpdir(), 'orca-mutants-'));
  });
  afterAll(() => rm(cacheFolder, { recursive: true }));

  test.for(MUTATIONS)('$name', { timeout: TIMEOUT_MS }, async (mutation) => {
    const caught = await runMutant(mutation.edits, seedsFor(mutation), cacheFolder);
    expect(caught).toMatch(/^hack\/test simulation --seed \d+ +# /);
  });
});
