/**
 * Runs one vitest project and writes the result of each test to a file, one line per test: `passed`, `failed` or
 * `skipped`, its name, and the reason of a skip or the message of a failure. `hack/test` adds up the lines; a missing
 * file means a crash.
 *
 *   node hack/test-run.ts PROJECT RESULT_FILE [FILTER…]
 */
import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { type Reporter, startVitest, type TestCase, type TestModule } from 'vitest/node';

/** The characters of a failure’s message that are printed: a few lines of a terminal. */
const SHOWN_CHARACTERS = 600;

const [project, resultFile, ...filters] = process.argv.slice(2);
if (project === undefined || resultFile === undefined)
  throw new Error('usage: node hack/test-run.ts PROJECT RESULT_FILE [FILTER…]');

const lines: string[] = [];

const recorder: Reporter = {
  onTestRunEnd(modules, unhandledErrors) {
    for (const module of modules) recordModule(module);
    for (const { message } of unhandledErrors) record('failed', `outside of a test: ${message}`);
    writeFileSync(resultFile, lines.map((line) => `${line}\n`).join(''));
  },
};

const vitest = await startVitest(filters, {
  project: [project],
  run: true,
  watch: false,
  // hack/test fails if a part runs no test.
  passWithNoTests: true,
  // A forgotten `.only` would skip the other tests.
  allowOnly: false,
  reporters: ['default', recorder],
});
await vitest.exit();

function recordModule(module: TestModule): void {
  // Failures outside of tests: loading the file, and hooks of suites.
  for (const error of module.errors()) record('failed', `${module.relativeModuleId}: ${error.message}`);
  for (const suite of module.children.allSuites())
    for (const error of suite.errors()) record('failed', `${nameOf(suite)}: ${error.message}`);
  for (const test of module.children.allTests()) recordTest(test);
}

function recordTest(test: TestCase): void {
  const result = test.result();
  switch (result.state) {
    case 'passed':
      record('passed', nameOf(test));
      break;
    case 'failed':
      record('failed', nameOf(test), shorten(result.errors[0]?.message ?? 'no message'));
      break;
    case 'skipped':
      record('skipped', nameOf(test), result.note ?? 'no reason given');
      break;
    case 'pending':
      record('failed', `${nameOf(test)}: did not end`);
      break;
  }
}

/** Keeps the start and the end, where the message of a failed command has the reason. */
function shorten(message: string): string {
  const text = stripVTControlCharacters(message);
  const half = SHOWN_CHARACTERS / 2;
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, half)} … ${text.slice(-half)}`;
}

function nameOf(test: { readonly module: TestModule; readonly fullName: string }): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function record(...fields: readonly string[]): void {
  lines.push(fields.map((field) => field.replaceAll(/\s+/g, ' ')).join('\t'));
}
