/** Runs vitest in a process of its own, with edits applied to the sources as they are loaded. */
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EDITS_VARIABLE, REPOSITORY, type Edit } from '#test/simulation/edits.ts';

/** A mutant may loop forever. The slowest selection of unit tests takes a tenth of this. */
const TIMEOUT_MS = 180_000;
/** How much of the output of a run without results is kept for the message. */
const OUTPUT_CHARACTERS = 2_000;

export interface Selection {
  readonly project: string;
  readonly filters: readonly string[];
}

export interface TestResult {
  readonly passed: number;
  /** Full names of the failed tests. */
  readonly failures: readonly string[];
  readonly timedOut: boolean;
  /** Files that could not be loaded, or the output of a run that ended without results. */
  readonly broken: string | undefined;
}

/** The parts of vitest's JSON report that are read here. */
interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** `resultFile` is written by vitest, and removed. */
export async function runTests(
  { project, filters }: Selection,
  edits: readonly Edit[],
  resultFile: string,
): Promise<TestResult> {
  const vitest = join(REPOSITORY, 'node_modules/vitest/vitest.mjs');
  const fixed = 'run --bail 1 --maxWorkers 1 --reporter json'.split(' ');
  const args = [vitest, ...fixed, '--project', project, '--outputFile', resultFile, ...filters];
  const { output, timedOut } = await run(args, {
    ...process.env,
    NODE_OPTIONS: `--import ${REPOSITORY}test/simulation/mutating-loader.ts`,
    [EDITS_VARIABLE]: JSON.stringify(edits),
  });
  if (timedOut) return { passed: 0, failures: [], timedOut, broken: undefined };
  const report = await readReport(resultFile);
  if (report === undefined) return { passed: 0, failures: [], timedOut, broken: output.slice(-OUTPUT_CHARACTERS) };
  const unloaded = report.testResults.filter(
    ({ message, assertionResults }) => message !== '' && assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failures: report.testResults.flatMap(({ assertionResults }) =>
      assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
    ),
    timedOut,
    broken: unloaded.length > 0 ? unloaded.map(({ name, message }) => `${name}: ${message}`).join('\n') : undefined,
  };
}

async function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly output: string; readonly timedOut: boolean }> {
  // A process group of its own: on a timeout the workers end too.
  const child = spawn(process.execPath, args, { cwd: REPOSITORY, env, detached: true });
  let output = '';
  const collect = (data: Buffer): void => void (output = (output + data.toString()).slice(-OUTPUT_CHARACTERS));
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, TIMEOUT_MS);
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject).once('close', () => resolve());
  try {
    await closed;
  } finally {
    clearTimeout(timer);
  }
  return { output, timedOut };
}

async function readReport(file: string): Promise<Report | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Report;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  } finally {
    await rm(file, { force: true });
  }
}
