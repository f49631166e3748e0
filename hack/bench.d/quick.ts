/**
 * The quick run, a part of `hack/test`: every byte of every body is right, no process ends, and the origin sends each byte
 * of a cold object once. It asserts no time, because a machine for tests is shared.
 */
import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Base } from './environment.ts';
import type { Variant } from './lines.ts';
import type { Row } from './report/results.ts';
import { measureAll } from './run.ts';
import { VARIANTS } from './variants.ts';

/** The smallest part of each line that finds its faults. Beginnings of titles. */
export const QUICK_TITLES: readonly string[] = [
  'warm 64 MiB objects from the store, 4 connections',
  'warm 64 KiB ranges from the store, 8 MiB chunks',
  'warm 4 KiB objects from memory',
  'cold 64 MiB, 8 MiB chunks',
  'cold 256 MiB, 64 MiB chunks',
  '100 clients, one cold 64 MiB object, 1 replica',
  '100 clients, one cold 64 MiB object, 3 replicas',
  '30 clients, one cold 64 MiB object, 3 replicas with 0.2 CPU each',
  '64 cold 64 MiB chunks at once',
  'last 4 KiB of a cold 1 GiB object',
  'cold 16 MiB objects, one of 3 replicas frozen',
];

/** Warm work needs no longer: the first requests find the same faults. */
const QUICK_DURATION_S = 1;

/** What is wrong with a measurement, or undefined. */
export function quickProblem({ variant, median }: Pick<Row, 'variant' | 'median'>): string | undefined {
  const { work, state, freezes } = variant;
  if (state === 'warm')
    return median.originBytes === 0 ? undefined : `the origin has sent ${median.originBytes} bytes of cached objects`;
  if (work.rangeBytes !== undefined) {
    const most = work.keys * (work.rangeBytes + MOST_AROUND_RANGE_BYTES);
    return median.originBytes <= most
      ? undefined
      : `the origin has sent ${median.originBytes} bytes for ${work.keys * work.rangeBytes}, at most ${most} are expected`;
  }
  // A fill that the frozen replica had begun is repeated by another one.
  const isExact = median.duplication === 1 || (freezes === true && median.duplication > 1 && median.duplication < 2);
  return isExact ? undefined : `the origin has sent ${median.duplication.toFixed(4)} times the bytes of the objects`;
}

/** A sparse read fetches whole blocks around the range, at most one on each side. */
const MOST_AROUND_RANGE_BYTES = 2 * 64 * 1024;

export function quickVariants(): Variant[] {
  return VARIANTS.filter(({ line, title }) => line !== 'h' && QUICK_TITLES.some((start) => title.startsWith(start)));
}

/** Returns whether everything is as it should be. */
export async function runQuick(base: Base, say: (text: string) => void): Promise<boolean> {
  const options = { ...base.options, repeats: 1, durationS: QUICK_DURATION_S };
  let current: string | undefined;
  let isFine = true;
  const record = (title: string, problem: string | undefined): void => {
    isFine &&= problem === undefined;
    say(problem === undefined ? `passed  ${title}` : `FAILED  ${title}: ${problem}`);
    const line = problem === undefined ? `passed\tbench: ${title}\n` : `failed\tbench: ${title}: ${problem}\n`;
    if (options.quickResults !== undefined) appendFileSync(options.quickResults, line);
  };
  try {
    await measureAll({ ...base, options }, quickVariants(), {
      started: ({ title }) => (current = title),
      measured: (rows) => {
        for (const row of rows) record(row.variant.title, quickProblem(row));
        current = undefined;
      },
    });
  } catch (error) {
    record(current ?? 'start of the servers', describeError(error));
  }
  return isFine;
}

/** In one line, with its cause. */
function describeError(error: unknown): string {
  return inspect(error, { compact: true, breakLength: Infinity }).replaceAll(/\s+/g, ' ');
}
