/** Whether a value is of any use: a render without it differs. */
import { MONITORING, template, valuesFile } from './helm.ts';
import { has, without, type Tree } from './values.ts';

/** In what the chart renders with any of those `sets` that say the value at `path`. */
export async function isShown(chart: string, sets: readonly Tree[], path: readonly string[]): Promise<boolean> {
  let shown = false;
  for (const set of sets.filter((each) => has(each, path))) {
    const [withIt, withoutIt] = await Promise.all(
      [set, without(set, path)].map(async (values) => template(chart, '-f', await valuesFile(values), ...MONITORING)),
    );
    shown ||= withIt !== withoutIt;
  }
  return shown;
}
