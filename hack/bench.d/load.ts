/** One run of the load generator (hack/bench.d/go/loadgen). */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Work } from './lines.ts';

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoadReport {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly refusals: number;
  readonly firstByteMs: Spread;
  readonly totalMs: Spread;
  readonly cpuSeconds: number;
}

/** Far above the longest measurement; ends a run with a server that hangs. */
const TIMEOUT_MS = 300_000;

/** Parses its output. Throws if a request failed or none succeeded. */
export function parseReport(text: string): LoadReport {
  const report = JSON.parse(text) as LoadReport;
  const failed = Object.entries(report.failures).map(([failure, count]) => `${count}× ${failure}`);
  if (failed.length > 0) throw new Error(`requests failed: ${failed.join(', ')}`);
  if (!(report.requests > 0 && report.seconds > 0)) throw new Error('no request succeeded');
  return report;
}

export interface LoadOptions {
  readonly binFolder: string;
  readonly urls: readonly string[];
  /** Part of the keys, so that measurements read different objects. */
  readonly tag: string;
  readonly durationS: number;
  readonly verify?: boolean;
}

/** Runs read in different orders: otherwise one would begin with what the one before left in memory. */
let seed = 0;

export async function runLoad(work: Work, options: LoadOptions): Promise<LoadReport> {
  const key = `bench/sized-${work.objectBytes}-${options.tag}${work.keys > 1 ? '-%d' : ''}`;
  const args = [
    ['-url', options.urls.join(',')],
    ['-key', key],
    ['-keys', work.keys],
    ['-connections', work.connections],
    ['-seed', ++seed],
    ...(work.requests === undefined ? [['-duration', `${options.durationS}s`]] : [['-requests', work.requests]]),
    ...(work.rangeBytes === undefined ? [] : [['-range', work.rangeBytes]]),
    ...(work.rangeAt === 'end' ? [['-at-end']] : []),
    ...(work.simultaneous === true ? [['-simultaneous']] : []),
    ...(work.inOrder === true ? [['-in-order']] : []),
    ...(work.retriesRefused === true ? [['-retry-503']] : []),
    ...(options.verify === true ? [['-verify']] : []),
  ].flat();
  const { stdout } = await promisify(execFile)(join(options.binFolder, 'loadgen'), args.map(String), {
    timeout: TIMEOUT_MS,
  });
  return parseReport(stdout);
}
