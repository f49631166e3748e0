/** The metrics of several processes as those of one: a scrape has the same series with any number of workers. */
import { AggregatorRegistry, type Registry } from 'prom-client';
import { GAUGES, type GaugeSpec } from '#cache/http/gauge-catalog.ts';

type Aggregator = GaugeSpec['aggregator'] | 'average' | 'omit';

/** A metric as prom-client describes it. */
export interface MetricJson {
  readonly name: string;
  readonly type: string;
  readonly aggregator: Aggregator;
  readonly values: readonly { readonly value: number }[];
}

const AGGREGATORS: Readonly<Record<string, Aggregator>> = {
  ...Object.fromEntries(Object.values(GAUGES).map(({ name, aggregator }) => [name, aggregator])),
  // Those that prom-client collects by itself, where its own choice is not the useful one.
  // The start of the oldest process, rather than no series.
  process_start_time_seconds: 'min',
  // A mean would hide the one process that lags.
  nodejs_eventloop_lag_mean_seconds: 'max',
  nodejs_eventloop_lag_stddev_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  nodejs_eventloop_lag_seconds: 'max',
};

export async function metricsJson(registry: Registry): Promise<MetricJson[]> {
  const metrics = (await registry.getMetricsAsJSON()) as unknown as MetricJson[];
  return metrics.map((metric) => ({
    ...metric,
    aggregator: AGGREGATORS[metric.name] ?? metric.aggregator,
    // JSON has no NaN, such as a mean of nothing.
    values: metric.values.filter(({ value }) => Number.isFinite(value)),
  }));
}

/** One list for each process; of gauges that are equal everywhere the first one counts. */
export function mergeMetrics(lists: readonly (readonly MetricJson[])[]): Registry {
  return AggregatorRegistry.aggregate(lists.map((list) => [...list]));
}

/**
 * The last metrics of each worker. Counters of a process that has ended stay in the sums: if they fell, Prometheus would
 * count everything of the other workers as new.
 */
export class MetricMemory {
  readonly #latest = new Map<number, readonly MetricJson[]>();
  #ended: readonly (readonly MetricJson[])[] = [];
  #isCompacting = false;

  /** What worker `index` has answered to a scrape. */
  record(index: number, metrics: readonly MetricJson[]): void {
    this.#latest.set(index, metrics);
  }

  /** The process of worker `index` has ended. */
  async endOf(index: number): Promise<void> {
    const last = this.#latest.get(index) ?? [];
    this.#latest.delete(index);
    this.#ended = [...this.#ended, last.filter(({ type }) => type === 'counter' || type === 'histogram')];
    await this.#compact();
  }

  /** The last known ones of all running workers, and the counters of the ended ones. */
  all(): readonly (readonly MetricJson[])[] {
    return [...[...this.#latest].toSorted(([a], [b]) => a - b).map(([, metrics]) => metrics), ...this.#ended];
  }

  /** A worker may be started again for days. */
  async #compact(): Promise<void> {
    if (this.#isCompacting || this.#ended.length < 2) return;
    this.#isCompacting = true;
    const some = this.#ended;
    const merged = await metricsJson(mergeMetrics(some));
    this.#ended = [merged, ...this.#ended.slice(some.length)];
    this.#isCompacting = false;
  }
}
