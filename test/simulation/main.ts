/**
 * Runs seeds one after the other: `node test/simulation/main.ts [--seeds N] [--seed S] [--from F] [--trace]`. Ends at the
 * first that fails, with the line that replays it.
 */
import { parseArgs } from 'node:util';
import { simulate, type RunResult } from './simulate.ts';

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

function failureLine({ seed, violation, scenario }: RunResult): string {
  const faults = [...scenario.faults].join(' ') || 'none';
  return `hack/test simulation --seed ${seed}    # ${violation?.message} (faults: ${faults})`;
}

function summary({ seed, scenario, stats, traceHash }: RunResult, tookMs: number): string {
  const outcomes = Object.entries(stats.outcomes)
    .map(([name, n]) => `${name} ${n}`)
    .join(', ');
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return (
    `${seed}: ${tookMs.toFixed(0)} ms, ${stats.events} events, ${(stats.virtualMs / 1000).toFixed(0)} s, ` +
    `served ${mib(stats.servedBytes)}, origin ${mib(stats.originBytes)}, again ${mib(stats.repeatedBytes)} MiB, ` +
    `rpc ${stats.peerCalls}, longest ${(stats.longestMs / 1000).toFixed(1)} s | ${outcomes} | ` +
    `${[...scenario.faults].join(' ')} | ${traceHash.slice(0, 12)}`
  );
}
