import type { Mutant } from './mutants.ts';

/** Bugs in `kubectl orca` and the ops endpoints that it reads. */
export const CLI_MUTANTS: readonly Mutant[] = [
  {
    name: 'escape sequences of keys reach the terminal',
    file: 'cache/cli/output/table.ts',
    search: 'const code = character.codePointAt(0) ?? 0;',
    replace: 'const code = character.codePointAt(0) ?? 0; if (code === 27) return character;',
    tests: ['test/cache/cli/'],
  },
  {
    name: 'a purge of several keys counts as done where only the first was purged',
    file: 'cache/cli/commands/purge.ts',
    search: 'if (keys.length === 1 || stdout.includes(`purged ${keys.length}`)) return deleted;',
    replace: 'if (keys.length >= 1 || stdout.includes(`purged ${keys.length}`)) return deleted;',
    tests: ['test/cache/cli/'],
  },
  {
    name: 'doctor exits with 0 after an error',
    file: 'cache/cli/commands/doctor.ts',
    search: "some(({ level }) => level === 'error')",
    replace: "every(({ level }) => level === 'error' && level !== level)",
    tests: ['test/cache/cli/'],
  },
  {
    name: 'the output of a command is read past its status',
    file: 'cache/cli/cluster/exec.ts',
    search: 'if (exitCode !== undefined) break;',
    replace: 'exitCode = undefined;',
    tests: ['test/cache/cli/'],
  },
  {
    name: 'a chunk of another length counts as stored',
    file: 'cache/http/ops/object-chunks.ts',
    search: 'inStore?.sizeBytes === chunk.lengthBytes',
    replace: 'inStore !== undefined',
    tests: ['test/cache/http/ops/objects.test.ts'],
  },
  {
    name: 'explain sends a HEAD to the origin though the object is known',
    file: 'cache/http/ops/object-chunks.ts',
    search: 'await engine.read({ ...request, onlyIfCached: true })',
    replace: 'await engine.read({ ...request, maxAgeMs: 0 })',
    tests: ['test/cache/http/ops/objects.test.ts'],
  },
];
