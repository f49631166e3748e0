/**
 * Metrics of each client request, as plain numbers that become samples when they are scraped: with prom-client's own
 * `inc` and `observe`, which check and join labels, they would cost a warm read some microseconds.
 */
import { Counter, type Histogram, type Registry } from 'prom-client';
import type { MetricSpec } from './metric-catalog.ts';

interface Series {
  /** By bound, and one more for what exceeds all bounds. */
  readonly counts: number[];
  sum: number;
}

/** A histogram with at most one label. */
export class PlainHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #label: string | undefined;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** `bounds` are the upper bounds of the buckets, ascending. */
  constructor({ name, help, labels = {} }: MetricSpec, bounds: readonly number[], registry: Registry) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    [this.#label] = Object.keys(labels);
    // As every histogram without labels, it has its samples from the start.
    if (this.#label === undefined) this.#seriesOf('');
    // The registry calls `get` only.
    registry.registerMetric(this as unknown as Histogram);
  }

  /** `labelValue`: one of few. */
  observe(value: number, labelValue = ''): void {
    const series = this.#seriesOf(labelValue);
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    series.counts[at]!++;
    series.sum += value;
  }

  /** In the form of https://github.com/siimon/prom-client's metrics. */
  async get() {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series].flatMap(([labelValue, series]) => this.#samples(labelValue, series));
    return { name, help, type, aggregator, values };
  }

  #samples(labelValue: string, { counts, sum }: Series) {
    const labels = this.#label === undefined ? {} : { [this.#label]: labelValue };
    let count = 0;
    const buckets = [...this.#bounds, '+Inf'].map((le, at) => {
      count += counts[at]!;
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }

  #seriesOf(labelValue: string): Series {
    let series = this.#series.get(labelValue);
    if (series === undefined)
      this.#series.set(
        labelValue,
        (series = { counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0 }),
      );
    return series;
  }
}

interface Count {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

/** A counter whose caller joins the values of its labels to a key, which costs less than an object. */
export class PlainCounter {
  readonly #labelsOf: (key: string) => Readonly<Record<string, string>>;
  readonly #counts = new Map<string, Count>();

  /** `labelsOf` is called once for each key, of which there must be few. */
  constructor(spec: MetricSpec, registry: Registry, labelsOf: (key: string) => Readonly<Record<string, string>>) {
    this.#labelsOf = labelsOf;
    registerCounter(spec, registry, (add) => {
      for (const count of this.#counts.values()) add(count.labels, count.value);
    });
  }

  add(key: string, amount: number): void {
    this.of(key).value += amount;
  }

  /** The count of a key, for callers that add to the same one again and again. */
  of(key: string): { value: number } {
    let count = this.#counts.get(key);
    if (count === undefined) this.#counts.set(key, (count = { labels: this.#labelsOf(key), value: 0 }));
    return count;
  }
}

/** Registers a counter whose samples `collect` adds on each scrape. */
export function registerCounter(
  { name, help, labels = {} }: MetricSpec,
  registry: Registry,
  collect: (add: (labels: Readonly<Record<string, string>>, value: number) => void) => void,
): void {
  registry.registerMetric(
    new Counter({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [],
      collect() {
        this.reset();
        collect((values, value) => this.inc(values, value));
      },
    }),
  );
}
