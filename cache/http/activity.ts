/** What a replica has done since its start, and in the last minutes: samples of the counters that Prometheus reads too. */
import type { Registry } from 'prom-client';
import type { Clock } from '#shared/clock.ts';
import { CACHE_STATUSES, COUNTERS, SOURCES } from './metric-catalog.ts';
import type { SlowRequest, SlowRequests } from './slow-requests.ts';

export interface Totals {
  readonly requests: number;
  /** By the value of X-Cache. */
  readonly byCache: Readonly<Record<string, number>>;
  readonly clientErrors: number;
  readonly serverErrors: number;
  readonly servedBytes: number;
  /** By where the bytes came from. */
  readonly bySource: Readonly<Record<string, number>>;
  readonly originRequests: number;
  readonly originErrors: number;
  readonly originBytes: number;
  readonly fills: number;
  readonly failedFills: number;
  readonly committedBytes: number;
}

export interface ActivityReport {
  /** The clock of the pod's node, to compare it with others. */
  readonly dateMs: number;
  readonly totals: Totals;
  /** The counts of the last `windowMs`: five minutes, or less after a start. */
  readonly windowMs: number;
  readonly window: Totals;
  readonly slowest: readonly SlowRequest[];
}

export interface Activity {
  report(): Promise<ActivityReport>;
  /** Takes samples until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const SAMPLE_MS = 15_000;
/** Long enough to smooth bursts, short enough to show what happens now. */
const WINDOW_MS = 5 * 60_000;
const SAMPLES = WINDOW_MS / SAMPLE_MS;

interface Sample {
  readonly atMs: number;
  readonly totals: Totals;
}

export function openActivity({
  registry,
  slow,
  clock,
}: {
  readonly registry: Registry;
  readonly slow: SlowRequests;
  readonly clock: Clock;
}): Activity {
  let samples: readonly Sample[] = [];
  const take = async (): Promise<Sample> => ({ atMs: clock.now(), totals: await totalsOf(registry) });
  return {
    async report() {
      const now = await take();
      const oldest = samples[0] ?? now;
      return {
        dateMs: clock.date(),
        totals: now.totals,
        windowMs: now.atMs - oldest.atMs,
        window: difference(now.totals, oldest.totals),
        slowest: slow.list(),
      };
    },
    async run(signal) {
      try {
        for (;;) {
          samples = [...samples, await take()].slice(-SAMPLES - 1);
          await clock.sleep(SAMPLE_MS, signal);
          slow.rotate();
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}

interface Series {
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
}

async function totalsOf(registry: Registry): Promise<Totals> {
  const series = async ({ name }: { readonly name: string }): Promise<readonly Series[]> =>
    (await registry.getSingleMetric(name)?.get())?.values ?? [];
  const requests = await series(COUNTERS.edgeRequests);
  const served = await series(COUNTERS.servedBytes);
  const origin = await series(COUNTERS.originRequests);
  const fills = await series(COUNTERS.fills);
  return {
    requests: sum(requests),
    byCache: Object.fromEntries(CACHE_STATUSES.map((cache) => [cache, sum(requests, 'cache', cache)])),
    clientErrors: sum(requests, 'code', /^4/),
    serverErrors: sum(requests, 'code', /^5/),
    servedBytes: sum(served),
    bySource: Object.fromEntries(SOURCES.map((source) => [source, sum(served, 'source', source)])),
    originRequests: sum(origin),
    originErrors: sum(origin, 'outcome', 'error'),
    originBytes: sum(await series(COUNTERS.originBytes)),
    fills: sum(fills),
    failedFills: sum(fills, 'outcome', 'failed'),
    committedBytes: sum(await series(COUNTERS.committedBytes)),
  };
}

function sum(series: readonly Series[], label?: string, wanted?: string | RegExp): number {
  let total = 0;
  for (const { labels, value } of series) {
    const text = String(label === undefined ? '' : labels[label]);
    if (wanted === undefined || (typeof wanted === 'string' ? text === wanted : wanted.test(text))) total += value;
  }
  return total;
}

function difference(now: Totals, before: Totals): Totals {
  const { byCache, bySource, ...plain } = now;
  const less = <T extends object>(a: T, b: Partial<Record<string, unknown>>): T =>
    Object.fromEntries(
      Object.entries(a).map(([name, value]) => [name, Number(value) - Number(b[name] ?? 0)]),
    ) as unknown as T;
  return {
    ...less(plain, { ...before }),
    byCache: less(byCache, before.byCache),
    bySource: less(bySource, before.bySource),
  };
}
