/**
 * Runs seeds without a test runner: many of them, one with a trace, or mutants. Stops at the first failure, unless `--all`
 * is given.
 *
 *   node test/simulation/main.ts [--from F] [--seeds N] [--all] [--stats] [--jobs J]
 *   node test/simulation/main.ts --list S,S,…
 *   node test/simulation/main.ts --seed S [--trace]
 */
import { parseArgs } from 'node:util';
import { failureLine, summary } from './report.ts';
import { openSeedPool, type SeedPool } from './seed-pool.ts';
import { simulate } from './simulate.ts';

/** A long run shows where it is. */
const PROGRESS_SEEDS = 100;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    list: { type: 'string' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    stats: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
});

const seeds = seedsOf();
const lanes = Number(values.jobs);
const log = values.trace ? (line: string) => console.log(line) : undefined;
const startedMs = performance.now();
/** All lanes take their seeds from here. */
const waiting = seeds.values();
let ended = 0;
let failures = 0;
await using pool: SeedPool | undefined = lanes > 1 ? openSeedPool(lanes) : undefined;
await Promise.all(Array.from({ length: lanes }, lane));
const seconds = (performance.now() - startedMs) / 1000;
console.log(`${ended} seeds, ${failures} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failures > 0 ? 1 : 0;

async function lane(): Promise<void> {
  for (const seed of waiting) {
    if (failures > 0 && !values.all) return;
    const report = pool === undefined ? await runHere(seed) : await pool.run(seed);
    ended++;
    if (ended % PROGRESS_SEEDS === 0 && ended < seeds.length) showProgress(seed);
    if (values.stats || values.seed !== undefined) console.log(report.summary);
    if (report.failure === undefined) continue;
    failures++;
    console.log(report.failure);
  }
}

function showProgress(seed: number): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  const rssMib = (process.memoryUsage.rss() / 2 ** 20).toFixed(0);
  console.log(
    `${ended} of ${seeds.length} seeds, the last is ${seed}: ${failures} failed, ${seconds} s, ${rssMib} MiB`,
  );
}

async function runHere(seed: number): Promise<{ failure: string | undefined; summary: string }> {
  const beganMs = performance.now();
  const result = await simulate(seed, log);
  return {
    failure: result.violation === undefined ? undefined : failureLine(result),
    summary: summary(result, performance.now() - beganMs),
  };
}

function seedsOf(): number[] {
  if (values.seed !== undefined) return [Number(values.seed)];
  if (values.list !== undefined) return values.list.split(',').map(Number);
  return Array.from({ length: Number(values.seeds) }, (_, number) => Number(values.from) + number);
}
