/**
 * Probes whether each bucket is reachable, after the start and rarely afterwards. Monitoring needs this because client
 * requests may be absent, or answered from the cachestore.
 */
import { asOrcaError, hasCode, OrcaError } from '#cache/core/errors.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import { isPattern, prefixOf } from '#cache/core/s3/bucket-name.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import type { CallOptions, Clock, Observer, Origin } from '#cache/engine/ports.ts';
import { openSemaphore } from '#shared/semaphore.ts';

const PROBE_TIMEOUT_MS = 5_000;
/** Clients come first, and readiness has just probed a new configuration. */
const FIRST_AFTER_MS = 15_000;
/** A probe is a billed request: one every ten minutes costs a few cents a year. */
const INTERVAL_MS = 10 * 60_000;
/** A failed bucket is probed more often, to notice its recovery. */
const RETRY_MS = 30_000;

/** A cache may have a thousand buckets; the origin serves clients too. */
const AT_ONCE = 16;

export type ProbeState = 'unknown' | 'reachable' | 'list_denied' | 'failed';

export interface BucketProbe {
  readonly state: ProbeState;
  /** One actionable line; empty if the bucket is reachable. */
  readonly message: string;
  /** The origin answered, and its answer is that this configuration cannot read the bucket. */
  readonly isRefused?: boolean;
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
  readonly #withPermit = openSemaphore(AT_ONCE);

  constructor(options: OriginProbesOptions) {
    this.#options = options;
    this.#results = new Map(options.buckets.map(({ name }) => [name, { state: 'unknown', message: '' }]));
  }

  /** By client-facing bucket name. */
  results(): ReadonlyMap<string, BucketProbe> {
    return this.#results;
  }

  /** Sends one request; its result is also recorded in `results`. */
  probe(rule: BucketRule, parent: AbortSignal): Promise<BucketProbe> {
    return this.#withPermit(parent, () => this.#probeNow(rule, parent));
  }

  async #probeNow(rule: BucketRule, parent: AbortSignal): Promise<BucketProbe> {
    const { origin, clock, observer } = this.#options;
    const startedMs = clock.now();
    const late = () => new OrcaError('origin_unavailable', `no answer within ${PROBE_TIMEOUT_MS} ms`);
    let result: BucketProbe;
    try {
      const answer = await withDeadline(clock, PROBE_TIMEOUT_MS, late, parent, (signal) =>
        abortable(ask(origin, rule, { signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS }), signal),
      );
      result =
        answer === 'reachable'
          ? { state: 'reachable', message: '' }
          : { state: 'list_denied', message: 'reachable, but listing is denied' };
    } catch (error) {
      const { code, message } = asOrcaError(error, 'internal', 'the probe failed');
      const isRefused = hasCode(error, 'origin_denied', 'origin_wrong_region', 'bucket_not_found');
      result = { state: 'failed', message: `${code}: ${message}`, ...(isRefused && { isRefused }) };
    }
    observer.originRequest('probe', result.state === 'failed' ? 'error' : 'ok', clock.now() - startedMs, {
      bucket: rule.originBucket,
    });
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

/** A pattern names no bucket: listing those under it shows that the account is reachable. */
async function ask(origin: Origin, rule: BucketRule, options: CallOptions): Promise<'reachable' | 'list_denied'> {
  if (!isPattern(rule.name)) return origin.probe(rule.originBucket, rule.prefix, options);
  try {
    await origin.listBuckets(prefixOf(rule.originBucket), options);
    return 'reachable';
  } catch (error) {
    if (hasCode(error, 'access_denied')) return 'list_denied';
    throw error;
  }
}
