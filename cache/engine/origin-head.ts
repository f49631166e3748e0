/** One HEAD of the origin, with a turn in the limiter and the one retry layer. */
import { OrcaError } from '../core/errors.ts';
import type { ObjectHead } from '../core/object.ts';
import { withDeadline } from './abortable.ts';
import { wasNotAsked } from './breaker.ts';
import type { OriginLimiter } from './limiter.ts';
import type { Clock, Observer, Origin } from './ports.ts';
import { withRetry, type RetrySettings } from './retry.ts';

/** Two seconds to a first byte each (cache.md §5), and the retries' own budget. */
const HEAD_TIMEOUT_MS = 2_000;
/** Outlives any retry budget that the configuration allows. */
const TOTAL_TIMEOUT_MS = 60_000;

export interface OriginHeadContext {
  readonly origin: Origin;
  readonly limiter: OriginLimiter;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  readonly retry: RetrySettings;
}

export type OriginHead = (bucket: string, key: string) => Promise<ObjectHead>;

export function openOriginHead(context: OriginHeadContext): OriginHead {
  const { origin, limiter, clock, observer, random, retry } = context;
  const once = async (bucket: string, key: string, signal: AbortSignal): Promise<ObjectHead> => {
    const startedMs = clock.now();
    try {
      const head = await origin.head(bucket, key, { signal, firstByteTimeoutMs: HEAD_TIMEOUT_MS });
      observer.originRequest('head', 'ok', clock.now() - startedMs);
      return head;
    } catch (error) {
      if (!wasNotAsked(error)) observer.originRequest('head', 'error', clock.now() - startedMs);
      throw error;
    }
  };
  const late = () => new OrcaError('origin_unavailable', `no answer within ${TOTAL_TIMEOUT_MS} ms`);
  return (bucket, key) =>
    withDeadline(clock, TOTAL_TIMEOUT_MS, late, undefined, (signal) =>
      // While the breaker is open what is known goes out at once: nobody waits for its next probe.
      withRetry({ settings: retry, clock, random, signal, isFinal: wasNotAsked }, () =>
        limiter.run(bucket, signal, () => once(bucket, key, signal)),
      ),
    );
}
