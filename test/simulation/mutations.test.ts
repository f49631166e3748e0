/** Tests the oracle: it detects each mutation within a bounded number of seeds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runMutant } from './mutant.ts';
import { MUTATIONS, seedsFor } from './mutations.ts';

/** Sixty seeds on a busy machine. */
const TIMEOUT_MS = 200_000;

describe.concurrent('the oracle detects:', () => {
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
