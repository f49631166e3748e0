import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { editProblem } from '#hack/mutate.d/edit-problem.ts';
import { MUTANTS, selectionOf } from '#test/mutants/mutants.ts';

describe('the mutants of hack/mutate', () => {
  test('each applies to the sources as they are', () => {
    expect(MUTANTS.flatMap((mutant) => editProblem(mutant) ?? [])).toEqual([]);
  });

  test('each is judged by tests that exist', () => {
    const filters = MUTANTS.flatMap((mutant) => selectionOf(mutant).filters);
    expect(filters.filter((filter) => !existsSync(filter))).toEqual([]);
  });

  test('no name occurs twice', () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
  });
});
