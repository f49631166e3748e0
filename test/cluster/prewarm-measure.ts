/** What the tests of prewarming measure: the rate at the origin, the end of a transfer, the time to the first byte, CPU. */
import { Agent, request } from 'node:http';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { encodePath } from '#cache/core/percent.ts';
import { BUCKET } from './operator-world.ts';

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;
const RETRY_MS = 1_000;
/** Short against the seconds that are measured, and long against the duration of a look. */
const POLL_MS = 100;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

/** Samples a counter until `stop`. */
export class Meter {
  readonly #samples: Sample[] = [];
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;

  constructor(counter: () => Promise<number>) {
    this.#running = this.#run(counter);
  }

  async #run(counter: () => Promise<number>): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      this.#samples.push({ bytes: await counter(), atMs: performance.now() });
      await delay(POLL_MS, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  /** The mean between the first and the last growth, and the largest mean over any `windowMs`. */
  rates(windowMs: number): { readonly mean: number; readonly peak: number } {
    const grown = this.#samples.filter(({ bytes }, i) => i > 0 && bytes > this.#samples[i - 1]!.bytes);
    const [first, last] = [grown[0], grown.at(-1)];
    if (first === undefined || last === undefined || first === last) return { mean: 0, peak: 0 };
    const peaks = grown.map((from) => {
      const to = grown.find(({ atMs }) => atMs >= from.atMs + windowMs);
      return to === undefined ? 0 : perSecond(from, to);
    });
    return { mean: perSecond(first, last), peak: Math.max(...peaks) };
  }

  /** When the counter grew for the last time; `sinceMs` if it has not grown since. */
  lastGrowthMs(sinceMs: number): number {
    const grown = this.#samples.filter(({ bytes }, i) => i > 0 && bytes > this.#samples[i - 1]!.bytes);
    return Math.max(sinceMs, grown.at(-1)?.atMs ?? 0);
  }
}

function perSecond(from: Sample, to: Sample): number {
  return ((to.bytes - from.bytes) / (to.atMs - from.atMs)) * 1000;
}

/** Reads an object, with retries as SDKs do; resolves with the ms until the first byte of the attempt that succeeded. */
export async function timeToFirstByte(edge: string, key: string): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await firstByte(edge, key);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await delay(RETRY_MS);
    }
  }
}

/** On a connection of its own. */
function firstByte(edge: string, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const agent = new Agent();
    const sent = request(`http://${edge}/${BUCKET}/${encodePath(key)}`, { agent, signal }, (response) => {
      let firstMs: number | undefined;
      response.on('data', () => (firstMs ??= performance.now() - startedMs));
      response.on('error', reject);
      response.on('end', () => {
        agent.destroy();
        if (response.statusCode === 200 && firstMs !== undefined) resolve(firstMs);
        else reject(new Error(`GET ${key}: ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Returns the function for the share of the machine's CPU time that was used since, in percent. */
export function cpuShare(): () => number {
  const since = cpuTimes();
  return () => {
    const now = cpuTimes();
    return (100 * (now.busy - since.busy)) / Math.max(1, now.all - since.all);
  };
}

function cpuTimes(): { readonly busy: number; readonly all: number } {
  const times = cpus().map((cpu) => cpu.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busy: all - times.reduce((sum, { idle }) => sum + idle, 0), all };
}
