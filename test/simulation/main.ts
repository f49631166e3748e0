/**
 * Runs seeds one after the other, without a test runner around them: for many seeds, for a trace, and for the copies in
 * which something is broken. Ends at the first that fails, or goes through `--all`.
 *
 *   node test/simulation/main.ts [--from F] [--seeds N] [--all] [--stats]
 *   node test/simulation/main.ts --seed S [--trace]
 */
import { parseArgs } from 'node:util';
import { failureLine, summary } from './report.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    stats: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
});

const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const log = values.trace ? (line: string) => console.log(line) : undefined;
const startedMs = performance.now();
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  const beganMs = performance.now();
  const result = await simulate(seed, log);
  if (values.stats || values.seed !== undefined) console.log(summary(result, performance.now() - beganMs));
  if (result.violation === undefined) continue;
  failures++;
  console.log(failureLine(result));
  if (!values.all) break;
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(`${count} seeds, ${failures} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failures > 0 ? 1 : 0;
