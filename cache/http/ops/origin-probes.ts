/**
 * Whether each bucket can be reached, asked after start and seldom afterwards, for those who watch over the cache:
 * requests of clients may never come, or be answered by what is stored.
 */
import { asOrcaError } from '#cache/core/errors.ts';
import type { Clock, Observer, Origin } from '#cache/engine/ports.ts';
import type { BucketRule } from '#cache/engine/read.ts';

const PROBE_TIMEOUT_MS = 5_000;
/** The readers come first; and a new configuration has just been probed before it was ready. */
const FIRST_AFTER_MS = 15_000;
/** A probe is a billed request: once in ten minutes is a few cents a year. */
const INTERVAL_MS = 10 * 60_000;
/** What is broken is looked at more often, so that it is seen to heal. */
const RETRY_MS = 30_000;

export type ProbeState = 'unknown' | 'reachable' | 'list_denied' | 'failed';

export interface BucketProbe {
  readonly state: ProbeState;
  /** One line a person can act on; empty where all is well. */
  readonly message: string;
}

export interface OriginProbesOptions {
  readonly origin: Origin;
  readonly buckets: readonly BucketRule[];
  readonly clock: Clock;
  readonly observer: Observer;
}

export class OriginProbes {
  readonly #options: OriginProbesOptions;
  readonly #results: Map<string, BucketProbe>;

  constructor(options: OriginProbesOptions) {
    this.#options = options;
    this.#results = new Map(options.buckets.map(({ name }) => [name, { state: 'unknown', message: '' }]));
  }

  /** By the bucket's name at the edge. */
  results(): ReadonlyMap<string, BucketProbe> {
    return this.#results;
  }

  /** One request; what it says is also among the results. */
  async probe(rule: BucketRule, parent: AbortSignal): Promise<BucketProbe> {
    const { origin, clock, observer } = this.#options;
    const startedMs = clock.now();
    const signal = AbortSignal.any([parent, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
    let result: BucketProbe;
    try {
      const answer = await origin.probe(rule.originBucket, rule.prefix, {
        signal,
        firstByteTimeoutMs: PROBE_TIMEOUT_MS,
      });
      result =
        answer === 'reachable'
          ? { state: 'reachable', message: '' }
          : { state: 'list_denied', message: 'reachable, but may not be listed' };
    } catch (error) {
      const { code, message } = asOrcaError(error, 'internal', 'the probe failed');
      result = { state: 'failed', message: `${code}: ${message}` };
    }
    observer.originRequest('probe', result.state === 'failed' ? 'error' : 'ok', clock.now() - startedMs);
    this.#results.set(rule.name, result);
    return result;
  }

  /** Probes every bucket until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { buckets, clock } = this.#options;
    try {
      await clock.sleep(FIRST_AFTER_MS, signal);
      for (;;) {
        const results = await Promise.all(buckets.map((rule) => this.probe(rule, signal)));
        const failed = results.some(({ state }) => state === 'failed');
        await clock.sleep(failed ? RETRY_MS : INTERVAL_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
