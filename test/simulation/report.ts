/** The text of a run's result. */
import type { RunResult } from './simulate.ts';

/** The command that replays a failure, and the violation. */
export function failureLine({ seed, violation, scenario }: RunResult): string {
  const faults = [...scenario.faults].join(' ') || 'none';
  return `hack/test simulation --seed ${seed}    # ${violation?.message} (faults: ${faults})`;
}

export function summary({ seed, scenario, stats, traceHash }: RunResult, tookMs: number): string {
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
