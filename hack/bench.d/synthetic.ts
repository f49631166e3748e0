/** Starts the synthetic origin and cachestore (hack/bench.d/go/synthetic) and reads their counters. */
import { join } from 'node:path';
import { startChild, waitFor, type Child } from './child.ts';

export interface Counts {
  readonly gets: number;
  readonly heads: number;
  readonly puts: number;
  readonly getBytes: number;
  readonly putBytes: number;
  /** Gets and heads of chunks that do not exist. */
  readonly misses: number;
}

export interface Synthetic extends AsyncDisposable {
  readonly url: string;
  readonly child: Child;
  counts(): Promise<Counts>;
  throttle(latencyMs: number, bytesPerSecond: number): Promise<void>;
}

const START_TIMEOUT_MS = 10_000;

export async function startSynthetic(binFolder: string, ...args: readonly string[]): Promise<Synthetic> {
  const child = startChild(join(binFolder, 'synthetic'), args);
  const address = () => /^http:\/\/\S+$/m.exec(child.recentOutput())?.[0];
  try {
    await waitFor('the synthetic server', START_TIMEOUT_MS, async () => address() !== undefined);
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  const url = address() ?? '';
  return {
    url,
    child,
    counts: async () => (await (await fetch(`${url}/_/counts`)).json()) as Counts,
    async throttle(latencyMs, bytesPerSecond) {
      await fetch(`${url}/_/set?latency=${latencyMs}ms&rate=${bytesPerSecond}`, { method: 'POST' });
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
