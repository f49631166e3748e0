/**
 * Runs one vitest project and writes the result of each test to a file, one line per test: `passed`, `failed` or
 * `skipped`, its name, and the reason of a skip. `hack/test` adds up the lines; a missing file means a crash.
 *
 *   node hack/test-run.ts PROJECT RESULT_FILE [FILTER…]
 */
import { writeFileSync } from 'node:fs';
import { type Reporter, startVitest, type TestCase, type TestModule } from 'vitest/node';

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
    case 'failed':
      record(result.state, nameOf(test));
      break;
    case 'skipped':
      record('skipped', nameOf(test), result.note ?? 'no reason given');
      break;
    case 'pending':
      record('failed', `${nameOf(test)}: did not end`);
      break;
  }
}

function nameOf(test: { readonly module: TestModule; readonly fullName: string }): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function record(...fields: readonly string[]): void {
  lines.push(fields.map((field) => field.replaceAll(/\s+/g, ' ')).join('\t'));
}
