/**
 * The static checks. `npm run check` runs all of them, in this order, even after one has failed.
 * Usage: node hack/lint/check.ts [NAME…] [--results FILE]   FILE gets a line for each check, as hack/test reads it
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { shellScripts } from './shell-scripts.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Check {
  readonly command: string;
  readonly args: () => readonly string[];
  /** How to fix a failure, if that is not obvious from the output. */
  readonly fix?: string;
}

const CHECKS: Readonly<Record<string, Check>> = {
  format: { command: 'oxfmt', args: () => ['--check'], fix: 'npm run fmt formats the files' },
  lint: { command: 'oxlint', args: () => [] },
  types: { command: 'tsc', args: () => ['--noEmit'] },
  generated: {
    command: 'node',
    args: () => ['hack/gen.ts', '--check'],
    fix: 'npm run gen writes the generated files',
  },
  shell: {
    command: 'shellcheck',
    args: () => shellScripts(ROOT),
  },
  spelling: {
    command: 'cspell',
    args: () => [
      'lint',
      '--no-progress',
      '--no-summary',
      '--cache',
      '--cache-location=node_modules/.cache/cspell',
      '.',
    ],
    fix: 'a technical term that is spelled correctly belongs in hack/lint/words.txt',
  },
  prose: {
    command: 'node',
    args: () => ['hack/lint/prose.ts'],
    fix: 'each finding shows what to write instead; hack/lint/prose.yaml contains the rules',
  },
};

const INSTALL = 'run hack/tools node deps lint, then eval "$(hack/tools env)"';

const { values, positionals } = parseArgs({ options: { results: { type: 'string' } }, allowPositionals: true });
const unknown = positionals.filter((name) => !(name in CHECKS));
if (unknown.length > 0) {
  console.error(`unknown check ${unknown.join(', ')}; choose from: ${Object.keys(CHECKS).join(', ')}`);
  process.exit(2);
}
const names = positionals.length > 0 ? positionals : Object.keys(CHECKS);
const failed = names.filter((name) => !passes(name, CHECKS[name]!));
if (failed.length > 0) {
  console.error(`${failed.length} of ${names.length} checks failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}

function passes(name: string, { command, args, fix }: Check): boolean {
  const { status, error, stdout, stderr } = spawnSync(command, args(), {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, PATH: [join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter) },
  });
  const isPassed = error === undefined && status === 0;
  if (!isPassed) {
    process.stdout.write(stdout ?? '');
    process.stderr.write(stderr ?? '');
    const isMissing = error !== undefined && 'code' in error && error.code === 'ENOENT';
    if (isMissing) console.error(`${command} is missing: ${INSTALL}`);
    else console.error([error?.message ?? `${command} failed`, ...(fix === undefined ? [] : [fix])].join(': '));
  }
  console.log(`${isPassed ? 'ok    ' : 'FAILED'}  ${name}`);
  if (values.results !== undefined)
    appendFileSync(values.results, `${isPassed ? 'passed' : 'failed'}\tcheck: ${name}\n`);
  return isPassed;
}
