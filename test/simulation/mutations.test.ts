/** The oracle is known to bite: each deliberate breakage is noticed within a bounded number of seeds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openMutants, type Mutants } from './mutant.ts';
import { MUTATIONS } from './mutations.ts';

/** Where the seed that caught it last does not any more, because the engine or the scenarios have changed. */
const MAX_SEEDS = 150;
const TIMEOUT_MS = 400_000;

describe('the oracle notices that', () => {
  let mutants: Mutants;
  beforeAll(async () => {
    mutants = await openMutants();
  });
  afterAll(() => mutants[Symbol.asyncDispose]());

  test.for(MUTATIONS)('$name', { timeout: TIMEOUT_MS }, async ({ edits, seed }) => {
    const caught = (await mutants.run(edits, seed, 1)) ?? (await mutants.run(edits, 1, MAX_SEEDS));
    expect(caught).toMatch(/^hack\/test simulation --seed \d+ +# /);
  });
});
