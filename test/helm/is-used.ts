/** Detects values that a chart ignores: the output must change when the value is removed. */
import { MONITORING, template, valuesFile } from './helm.ts';
import { has, without, type Tree } from './values.ts';

/** Whether the output for any of the `sets` that contain the value at `path` depends on that value. */
export async function isUsed(chart: string, sets: readonly Tree[], path: readonly string[]): Promise<boolean> {
  let used = false;
  for (const set of sets.filter((each) => has(each, path))) {
    const [withIt, withoutIt] = await Promise.all(
      [set, without(set, path)].map(async (values) => template(chart, '-f', await valuesFile(values), ...MONITORING)),
    );
    used ||= withIt !== withoutIt;
  }
  return used;
}
