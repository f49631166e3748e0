/** One HEAD of the origin, with a turn in the limiter and the one retry layer. */
import { OrcaError } from '../core/errors.ts';
import type { ObjectHead } from '../core/object.ts';
import { withDeadline } from './abortable.ts';
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
    let outcome: 'ok' | 'error' = 'error';
    try {
      const head = await origin.head(bucket, key, { signal, firstByteTimeoutMs: HEAD_TIMEOUT_MS });
      outcome = 'ok';
      return head;
    } finally {
      observer.originRequest('head', outcome, clock.now() - startedMs);
    }
  };
  const late = () => new OrcaError('origin_unavailable', `no answer within ${TOTAL_TIMEOUT_MS} ms`);
  return (bucket, key) =>
    withDeadline(clock, TOTAL_TIMEOUT_MS, late, undefined, (signal) =>
      withRetry({ settings: retry, clock, random, signal }, () =>
        limiter.run(bucket, signal, () => once(bucket, key, signal)),
      ),
    );
}
