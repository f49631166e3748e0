/**
 * Runs the mutants of test/mutants/, and prints for each the test that fails with it.
 *
 *   node hack/mutate.d/main.ts [TEXT…] [--jobs N]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, selectionOf, type Mutant } from '#test/mutants/mutants.ts';
import { editProblem } from './edit-problem.ts';
import { runTests, type Selection, type TestResult } from './run-tests.ts';

type Verdict = 'killed' | 'survived' | 'inconclusive';

const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '2' } },
  allowPositionals: true,
});
const jobs = Number(values.jobs);
if (!Number.isInteger(jobs) || jobs < 1) {
  console.error(`--jobs is ${values.jobs}: it must be a whole number from 1`);
  process.exit(2);
}
const selected = MUTANTS.filter(
  ({ name, file }) =>
    positionals.length === 0 || positionals.some((text) => name.includes(text) || file.includes(text)),
);
if (selected.length === 0) {
  console.error(`no mutant's name or file contains ${positionals.join(' or ')}; test/mutants/ lists them`);
  process.exit(2);
}

const counts: Record<Verdict, number> = { killed: 0, survived: 0, inconclusive: 0 };
/** Whether the tests pass without a mutant, by selection: each is run once. */
const baselines = new Map<string, Promise<string | undefined>>();
const folder = await mkdtemp(join(tmpdir(), 'orca-mutate-'));
let runs = 0;
try {
  const waiting = selected.values();
  await Promise.all(Array.from({ length: jobs }, () => lane(waiting)));
} finally {
  await rm(folder, { recursive: true });
}
console.log(`${counts.killed} killed, ${counts.survived} survived, ${counts.inconclusive} inconclusive`);
if (counts.survived > 0) process.exitCode = 1;
else if (counts.inconclusive > 0) process.exitCode = 2;

async function lane(waiting: Iterable<Mutant>): Promise<void> {
  for (const mutant of waiting) {
    const startedMs = performance.now();
    const { verdict, detail } = await judge(mutant);
    counts[verdict]++;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${verdict.padEnd(12)} ${seconds.padStart(6)} s  ${mutant.file}: ${mutant.name}\n    ${detail}`);
  }
}

async function judge(mutant: Mutant): Promise<{ readonly verdict: Verdict; readonly detail: string }> {
  const problem = editProblem(mutant);
  if (problem !== undefined) return { verdict: 'inconclusive', detail: problem };
  const selection = selectionOf(mutant);
  const failing = await baselineFailure(selection);
  if (failing !== undefined) return { verdict: 'inconclusive', detail: failing };
  const result = await runTests(selection, [mutant], resultFile());
  if (result.timedOut) return { verdict: 'killed', detail: 'the tests did not end' };
  const [failure] = result.failures;
  if (failure !== undefined) return { verdict: 'killed', detail: failure };
  if (result.broken !== undefined) return { verdict: 'inconclusive', detail: result.broken };
  return { verdict: 'survived', detail: `${result.passed} tests passed: ${selection.filters.join(' ')}` };
}

function baselineFailure(selection: Selection): Promise<string | undefined> {
  const key = JSON.stringify(selection);
  const baseline = baselines.get(key) ?? runTests(selection, [], resultFile()).then(describeFailure);
  baselines.set(key, baseline);
  return baseline;
}

function describeFailure(result: TestResult): string | undefined {
  if (result.timedOut) return 'without the mutant: the tests did not end';
  const failure = result.failures[0] ?? result.broken;
  if (failure !== undefined) return `without the mutant: ${failure}`;
  return result.passed === 0 ? 'without the mutant: no test ran' : undefined;
}

function resultFile(): string {
  return join(folder, `${runs++}.json`);
}
