/** The engine under faults, seed by seed: `hack/test simulation [--seeds N] [--seed S]`. */
import { describe, expect, test } from 'vitest';
import { failureLine } from './report.ts';
import { simulate } from './simulate.ts';

/** What a run of the tests can spare: under a minute of one core. */
const DEFAULT_SEEDS = 200;
/** A test of its own for so many, so that a failure does not hide the others. */
const SEEDS_PER_TEST = 20;
/** Of two hundred milliseconds each, on a machine that is busy with everything else. */
const TIMEOUT_MS = 300_000;

const only = numberFrom('SIMULATION_SEED');
const count = only === undefined ? (numberFrom('SIMULATION_SEEDS') ?? DEFAULT_SEEDS) : 1;
const first = only ?? 1;
const groups = Array.from({ length: Math.ceil(count / SEEDS_PER_TEST) }, (_, group) => {
  const from = first + group * SEEDS_PER_TEST;
  return { from, to: Math.min(from + SEEDS_PER_TEST, first + count) - 1 };
});

describe('every invariant holds', () => {
  test.for(groups)('for the seeds from $from to $to', { timeout: TIMEOUT_MS }, async ({ from, to }) => {
    const failures: string[] = [];
    for (let seed = from; seed <= to; seed++) {
      const result = await simulate(seed);
      if (result.violation !== undefined) failures.push(failureLine(result));
    }
    expect(failures).toEqual([]);
  });
});

test('the same seed gives the same run, event for event', { timeout: TIMEOUT_MS }, async () => {
  for (let seed = first; seed < first + Math.min(count, 5); seed++) {
    const [once, again] = [await simulate(seed), await simulate(seed)];
    expect(again.traceHash).toBe(once.traceHash);
    expect(again.stats).toEqual(once.stats);
  }
});

function numberFrom(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name}=${text} is not a number of 1 or more`);
  return Number(text);
}
