/** Defects of the schema of prewarms, and of what is made from it. */
import type { Mutant } from './mutants.ts';

const TESTS = ['test/crds/'];

export const CRD_MUTANTS: readonly Mutant[] = [
  {
    name: 'a target may have a prefix and a manifest',
    file: 'crds/schema/prewarm-targets.ts',
    search: '.filter((member) => member !== undefined).length <= 1',
    replace: '.filter((member) => member !== undefined).length <= 2',
    tests: TESTS,
  },
  {
    name: 'globs are accepted with a list of keys',
    file: 'crds/schema/prewarm-targets.ts',
    search: '(target.manifest === undefined && target.keysFrom === undefined)',
    replace: '(target.manifest === undefined || target.keysFrom === undefined)',
    tests: TESTS,
  },
  {
    name: 'a range in a schedule may have a step of more than its values',
    file: 'crds/schema/prewarm-schedule.ts',
    search: "{ value: '[0-5]?[0-9]', step: '[1-9]|[1-5][0-9]' }",
    replace: "{ value: '[0-5]?[0-9]', step: '[1-9]|[1-9][0-9]' }",
    tests: TESTS,
  },
  {
    name: 'a prewarm that the operator has not observed has no status',
    file: 'crds/schema/prewarm-status.ts',
    search: 'default: { observedGeneration: -1 },',
    replace: '',
    tests: TESTS,
  },
  {
    name: 'pods may not watch prewarms',
    file: 'operator/resources/role.ts',
    search: "resources: [PREWARM.plural], verbs: ['get', 'list', 'watch']",
    replace: "resources: [PREWARM.plural], verbs: ['get', 'list']",
  },
];
