/** Runs the measurements; `hack/bench` starts this program. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { openEnvironment, type Base } from './environment.ts';
import { measure, readAll, warmUp } from './measure.ts';
import { parseOptions, type Options } from './options.ts';
import { profileWhile, selfTimes } from './profile.ts';
import { runQuick } from './quick.ts';
import { plotsOf } from './report/plot.ts';
import { formatResults, type Results, type Row } from './report/results.ts';
import { chosenBy, emptyResults, measureAll, nextSerial, openBase } from './run.ts';
import type { Sample } from './sample.ts';
import { tableOf, targetTable } from './table.ts';
import { verdictsOfRun } from './targets.ts';

/** A file system in memory, so that no disk is measured. */
const TMPFS = '/dev/shm';
const CHECKOUT = resolve(import.meta.dirname, '../..');
const PROFILED_FUNCTIONS = 30;
const EXIT_INTERRUPTED = 130;

const stack = new AsyncDisposableStack();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => void stack.disposeAsync().finally(() => process.exit(EXIT_INTERRUPTED)));
try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${inspect(error)}\n`);
  process.exitCode = 1;
} finally {
  await stack.disposeAsync();
}

async function main(options: Options): Promise<void> {
  const folder = await mkdtemp(join(TMPFS, 'orcacache-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const base = await openBase(stack, options, folder, CHECKOUT);
  if (options.quick) process.exitCode = (await runQuick(base, say)) ? 0 : 1;
  else if (options.profile) await profile(base);
  else await measureChosen(base);
}

async function measureChosen(base: Base): Promise<void> {
  const { options } = base;
  const empty = emptyResults(base);
  const { machine } = empty;
  say(`${machine.cores} × ${machine.cpu}, Node ${machine.node}, store: ${options.store}`);
  say(`CPU limits: ${machine.cpuLimits === 'none' ? 'none: line h compares CPU time per request' : machine.cpuLimits}`);
  if (base.nginx === undefined) say('without nginx: it is not installed');
  for (const { line, title, reason } of empty.notMeasured) say(`not measured: ${line}: ${title}: ${reason}`);
  const rows: Row[] = [];
  const results: Results = { ...empty, rows };
  try {
    await measureAll(base, chosenBy(options), {
      started: ({ line, title }) => say(`${line}: ${title}`),
      measured: (measured) => void rows.push(...measured),
    });
  } finally {
    // Completed measurements are of use even after a failure.
    if (rows.length > 0) await write(results, options);
  }
}

async function write(results: Results, options: Options): Promise<void> {
  say(`\n${tableOf(results.rows)}`);
  if (options.jsonFile !== undefined) await writeFile(options.jsonFile, formatResults(results));
  if (options.plotFolder !== undefined) {
    await mkdir(options.plotFolder, { recursive: true });
    for (const [name, svg] of plotsOf(results)) await writeFile(join(options.plotFolder, name), svg);
  }
  if (!options.bare) return;
  const verdicts = verdictsOfRun(results);
  if (verdicts.length > 0) say(`\n${targetTable(verdicts)}`);
  const missed = verdicts.filter(({ isMet }) => !isMet).length;
  if (!options.check) return;
  say(`\n${verdicts.length - missed} targets met, ${missed} missed`);
  if (missed > 0) process.exitCode = 1;
}

/** Runs each variant once and prints the functions that used most CPU time. */
async function profile(base: Base): Promise<void> {
  for (const variant of chosenBy(base.options)) {
    await using environment = await openEnvironment(base, variant.setup, ['--inspect=127.0.0.1:0']);
    const [target] = environment.targets;
    const [child] = environment.caches[0]?.children ?? [];
    if (target === undefined || child === undefined) continue;
    if (variant.state === 'warm') {
      await readAll(base, target, variant);
      await warmUp(base, target, variant);
    }
    let sample: Sample | undefined;
    const taken = await profileWhile(child, async () => {
      sample = await measure({ base, target, variant, serial: nextSerial() });
    });
    say(`\n${variant.line}: ${variant.title}`);
    if (sample !== undefined) say(`${tableOf([{ variant, target: target.name, median: sample }])}\n`);
    for (const { place, milliseconds, share } of selfTimes(taken, PROFILED_FUNCTIONS))
      say(`${(share * 100).toFixed(1).padStart(5)} %  ${milliseconds.toFixed(0).padStart(6)} ms  ${place}`);
    const { profileFile } = base.options;
    if (profileFile === '') continue;
    const file = `${profileFile}-${variant.title.replaceAll(/\W+/g, '-')}.cpuprofile`;
    await writeFile(file, JSON.stringify(taken));
    say(`written to ${file}`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
