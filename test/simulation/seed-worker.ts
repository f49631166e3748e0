/** A thread that runs the seeds that it receives, one after the other. */
import { parentPort } from 'node:worker_threads';
import { failureLine, summary } from './report.ts';
import type { SeedReport } from './seed-pool.ts';
import { simulate } from './simulate.ts';

parentPort?.on('message', (seed: number) => void report(seed));

async function report(seed: number): Promise<void> {
  const beganMs = performance.now();
  const result = await simulate(seed);
  const answer: SeedReport = {
    seed,
    failure: result.violation === undefined ? undefined : failureLine(result),
    summary: summary(result, performance.now() - beganMs),
    traceHash: result.traceHash,
  };
  // The target origin exists only for windows.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(answer);
}
