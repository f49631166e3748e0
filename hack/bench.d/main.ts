/** Runs the measurements; `hack/bench` starts this program. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { VARIANTS, type Setup, type Variant } from './lines.ts';
import { measure, readAll, warmUp, warmTag } from './measure.ts';
import { startBare } from './bare-target.ts';
import { startNginx } from './nginx-target.ts';
import { parseOptions, type Options } from './options.ts';
import { profileWhile, selfTimes } from './profile.ts';
import { medianOf, type Sample } from './sample.ts';
import { startSynthetic } from './synthetic.ts';
import { tableOf, type Row } from './table.ts';
import { describeVerdict, verdictsOf, type Verdict } from './targets.ts';
import { openEnvironment, type Base, type Target } from './environment.ts';

/** A file system in memory, so that no disk is measured. */
const TMPFS = '/dev/shm';
const CHECKOUT = resolve(import.meta.dirname, '../..');
const PROFILED_FUNCTIONS = 30;
const EXIT_INTERRUPTED = 130;

/** Number of cold measurements so far; each one reads different objects. */
let serial = 0;

const stack = new AsyncDisposableStack();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => void stack.disposeAsync().finally(() => process.exit(EXIT_INTERRUPTED)));
try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stack.disposeAsync();
}

async function main(options: Options): Promise<void> {
  const folder = await mkdtemp(join(TMPFS, 'orcacache-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const origin = stack.use(await startSynthetic(options.binFolder));
  const nginx =
    options.nginx === undefined || options.profile
      ? undefined
      : stack.use(await startNginx(options.nginx, folder, origin.url));
  const bare =
    options.bare && !options.profile ? stack.use(await startBare(options.binFolder, folder, origin.url)).targets : [];
  const base: Base = { options, folder, origin, nginx, bare, checkout: CHECKOUT };
  await (options.profile ? profile(base) : measureAll(base));
}

async function measureAll(base: Base): Promise<void> {
  const { options } = base;
  say(`${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}, store: ${options.store}`);
  if (base.nginx === undefined) say('without nginx: it is not installed');
  const rows: Row[] = [];
  const warmed = new Set<string>();
  try {
    for (const [setup, variants] of groupedBySetup(chosenBy(options))) {
      await using environment = await openEnvironment(base, setup);
      for (const variant of variants) {
        const targets = environment.targets.filter((target) => target.supports(variant));
        if (variant.state === 'warm')
          for (const target of targets) {
            const what = `${target.urls.join()} ${variant.work.objectBytes} ${warmTag(variant.work)}`;
            if (!warmed.has(what)) await readAll(base, target, variant);
            warmed.add(what);
            await warmUp(base, target, variant);
          }
        rows.push(...(await measureVariant(base, targets, variant)));
      }
    }
  } finally {
    // Prints completed measurements even after a failure.
    if (rows.length > 0) process.stdout.write(`\n${tableOf(rows)}\n`);
    if (options.bare) report(verdictsOf(rows), options.check);
  }
}

function report(verdicts: readonly Verdict[], isCheck: boolean): void {
  if (verdicts.length > 0) say(`\ntargets:\n${verdicts.map(describeVerdict).join('\n')}`);
  if (isCheck && verdicts.some(({ isMet }) => !isMet)) process.exitCode = 1;
}

/** Alternates between the targets, so that a disturbance of the machine affects all of them. */
async function measureVariant(base: Base, targets: readonly Target[], variant: Variant): Promise<Row[]> {
  say(`${variant.line}: ${variant.title}`);
  const samples = new Map<Target, Sample[]>(targets.map((target) => [target, []]));
  for (let repeat = 1; repeat <= base.options.repeats; repeat++)
    for (const [target, list] of samples) {
      const sample = await measure({ base, target, variant, serial: nextSerial() });
      list.push(sample);
      const { samplesFile } = base.options;
      const { line, title } = variant;
      if (samplesFile !== undefined)
        await appendFile(samplesFile, `${JSON.stringify({ line, title, target: target.name, ...sample })}\n`);
    }
  return [...samples].map(([target, list]) => ({ variant, target: target.name, sample: medianOf(list) }));
}

/** Runs each variant once and prints the functions that used most CPU time. */
async function profile(base: Base): Promise<void> {
  for (const variant of chosenBy(base.options)) {
    await using environment = await openEnvironment(base, variant.setup, ['--inspect=127.0.0.1:0']);
    const [target] = environment.targets;
    const [child] = environment.cache.children;
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
    if (sample !== undefined) process.stdout.write(`${tableOf([{ variant, target: target.name, sample }])}\n\n`);
    for (const { place, milliseconds, share } of selfTimes(taken, PROFILED_FUNCTIONS))
      say(`${(share * 100).toFixed(1).padStart(5)} %  ${milliseconds.toFixed(0).padStart(6)} ms  ${place}`);
    const { profileFile } = base.options;
    if (profileFile === '') continue;
    const file = `${profileFile}-${variant.title.replaceAll(/\W+/g, '-')}.cpuprofile`;
    await writeFile(file, JSON.stringify(taken));
    say(`written to ${file}`);
  }
}

function chosenBy({ lines, only }: Options): Variant[] {
  return VARIANTS.filter(({ line, title }) => lines.includes(line) && title.includes(only));
}

function groupedBySetup(variants: readonly Variant[]): Map<Setup, Variant[]> {
  return Map.groupBy(variants, ({ setup }) => setup);
}

function nextSerial(): string {
  return `cold-${++serial}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
