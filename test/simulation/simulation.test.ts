/** The engine under faults, seed by seed: `hack/test simulation [--seeds N] [--seed S]`. */
import { afterAll, describe, expect, test } from 'vitest';
import { openSeedPool } from './seed-pool.ts';

/** Half a minute of one core. */
const DEFAULT_SEEDS = 200;
const REPEATED_SEEDS = 5;
/** Seeds per test, so that a failure does not hide later ones. */
const SEEDS_PER_TEST = 20;
/** A seed takes about 200 ms; the machine may be busy with other tests. */
const TIMEOUT_MS = 300_000;

const only = numberFrom('SIMULATION_SEED');
const count = only === undefined ? (numberFrom('SIMULATION_SEEDS') ?? DEFAULT_SEEDS) : 1;
const first = only ?? 1;
const groups = Array.from({ length: Math.ceil(count / SEEDS_PER_TEST) }, (_, group) => {
  const from = first + group * SEEDS_PER_TEST;
  return { from, to: Math.min(from + SEEDS_PER_TEST, first + count) - 1 };
});

const pool = openSeedPool();
afterAll(() => pool[Symbol.asyncDispose]());

describe.concurrent('every invariant holds', () => {
  test.for(groups)('for the seeds from $from to $to', { timeout: TIMEOUT_MS }, async ({ from, to }) => {
    const seeds = Array.from({ length: to - from + 1 }, (_, number) => from + number);
    const reports = await Promise.all(seeds.map((seed) => pool.run(seed)));
    expect(reports.flatMap(({ failure }) => failure ?? [])).toEqual([]);
  });
});

test('the same seed gives the same run, event for event', { timeout: TIMEOUT_MS }, async () => {
  const seeds = Array.from({ length: Math.min(count, REPEATED_SEEDS) }, (_, number) => first + number);
  const hashes = async () => (await Promise.all(seeds.map((seed) => pool.run(seed)))).map(({ traceHash }) => traceHash);
  expect(await hashes()).toEqual(await hashes());
});

function numberFrom(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name}=${text} is not a number of 1 or more`);
  return Number(text);
}
