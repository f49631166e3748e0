/**
 * What each configured bucket is used for, and what that saves: the `orca_bucket_*` metrics. Plain numbers, which become
 * samples when they are scraped: a counter with labels would cost each warm read a microsecond.
 */
import { Gauge, type Registry } from 'prom-client';
import type { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { OriginName } from '#cache/engine/ports.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { CacheStatus } from './edge/call.ts';
import { GAUGES } from './gauge-catalog.ts';
import { CACHE_STATUSES, COUNTERS, SOURCES } from './metric-catalog.ts';
import { registerCounter } from './plain-metrics.ts';

/** Prices of the origin, in dollars. */
export interface Costs {
  readonly egressPerGB: number;
  readonly per1000Requests: number;
}

/** Cloud providers bill decimal gigabytes. */
const GB_BYTES = 1e9;

interface Usage {
  readonly requests: Record<CacheStatus, number>;
  readonly servedBytes: Record<Source, number>;
  originRequests: number;
  originBytes: number;
}

export class BucketUsage {
  readonly #buckets: BucketTable;
  /** By the configured name, so that there are no more than are configured. */
  readonly #usage: ReadonlyMap<string, Usage>;

  constructor(buckets: BucketTable) {
    this.#buckets = buckets;
    const names = [...buckets.names(), ...buckets.patterns().map(({ name }) => name)];
    this.#usage = new Map(names.map((name) => [name, newUsage()]));
  }

  /** A request for a client's bucket; one that is not configured has no label. */
  request(bucket: string, cache: CacheStatus): void {
    const usage = this.#ofClient(bucket);
    if (usage !== undefined) usage.requests[cache]++;
  }

  served(bucket: string, source: Source, lengthBytes: number): void {
    const usage = this.#ofClient(bucket);
    if (usage !== undefined) usage.servedBytes[source] += lengthBytes;
  }

  originRequest(name: OriginName): void {
    const usage = this.#ofOrigin(name);
    if (usage !== undefined) usage.originRequests++;
  }

  originBytes(name: OriginName, lengthBytes: number): void {
    const usage = this.#ofOrigin(name);
    if (usage !== undefined) usage.originBytes += lengthBytes;
  }

  /** Registers the metrics. Without prices there are no dollars. */
  register(registry: Registry, costs: Costs | undefined): void {
    this.#counter(registry, 'bucketRequests', (usage, add) => {
      for (const cache of CACHE_STATUSES) add({ cache }, usage.requests[cache]);
    });
    this.#counter(registry, 'bucketServedBytes', (usage, add) => {
      for (const source of SOURCES) add({ source }, usage.servedBytes[source]);
    });
    this.#counter(registry, 'bucketOriginRequests', (usage, add) => add({}, usage.originRequests));
    this.#counter(registry, 'bucketOriginBytes', (usage, add) => add({}, usage.originBytes));
    this.#gauge(registry, 'originBytesSaved', savedBytes);
    if (costs === undefined) return;
    this.#gauge(registry, 'savedDollars', (usage) => savedDollars(usage, costs));
    const { name, help } = GAUGES.originPriceDollars;
    const price = new Gauge({ name, help, labelNames: ['unit'], registers: [registry] });
    price.set({ unit: 'gigabyte' }, costs.egressPerGB);
    price.set({ unit: '1000_requests' }, costs.per1000Requests);
  }

  #ofClient(bucket: string): Usage | undefined {
    return this.#usage.get(bucket) ?? this.#usage.get(this.#buckets.get(bucket)?.name ?? '');
  }

  #ofOrigin({ bucket, key }: OriginName): Usage | undefined {
    return this.#usage.get(this.#buckets.ruleOfOrigin(bucket, key)?.name ?? '');
  }

  #counter(
    registry: Registry,
    key: 'bucketRequests' | 'bucketServedBytes' | 'bucketOriginRequests' | 'bucketOriginBytes',
    read: (usage: Usage, add: (labels: Readonly<Record<string, string>>, value: number) => void) => void,
  ): void {
    registerCounter(COUNTERS[key], registry, (add) => {
      for (const [bucket, usage] of this.#usage) read(usage, (more, value) => add({ bucket, ...more }, value));
    });
  }

  #gauge(registry: Registry, key: 'originBytesSaved' | 'savedDollars', read: (usage: Usage) => number): void {
    const { name, help } = GAUGES[key];
    const usages = this.#usage;
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['bucket'],
        registers: [],
        collect() {
          for (const [bucket, usage] of usages) this.set({ bucket }, read(usage));
        },
      }),
    );
  }
}

function newUsage(): Usage {
  const zeros = <K extends string>(keys: readonly K[]) =>
    Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
  return { requests: zeros(CACHE_STATUSES), servedBytes: zeros(SOURCES), originRequests: 0, originBytes: 0 };
}

function savedBytes({ servedBytes, originBytes }: Usage): number {
  return sum(servedBytes) - originBytes;
}

function savedDollars(usage: Usage, { egressPerGB, per1000Requests }: Costs): number {
  const savedRequests = sum(usage.requests) - usage.originRequests;
  return (savedBytes(usage) / GB_BYTES) * egressPerGB + (savedRequests / 1000) * per1000Requests;
}

function sum(numbers: Readonly<Record<string, number>>): number {
  return Object.values(numbers).reduce((total, number) => total + number, 0);
}
