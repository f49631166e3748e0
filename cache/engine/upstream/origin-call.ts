/** One small origin call, through the limiter and the retry layer. */
import { OrcaError } from '#cache/core/errors.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import type { CallOptions, Clock, Observer, Origin } from '#cache/engine/ports.ts';
import { wasNotAsked } from './circuit-breaker.ts';
import type { OriginLimiter } from './origin-limiter.ts';
import { withRetry, type RetrySettings } from './retry.ts';

/** Longer than any retry budget that the configuration allows. */
const TOTAL_TIMEOUT_MS = 60_000;
/** Limits each attempt. Even a distant origin answers sooner, and a lost request is retried. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A page of a large bucket takes seconds at some origins. */
export const LIST_FIRST_BYTE_TIMEOUT_MS = 10_000;

export interface OriginCallContext {
  readonly origin: Origin;
  readonly limiter: OriginLimiter;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  readonly retry: RetrySettings;
}

export interface OriginCall {
  readonly operation: Parameters<Observer['originRequest']>[0];
  readonly bucket: string;
}

/** Rejects with the origin's codes, or `overloaded`. */
export function callOrigin<T>(
  context: OriginCallContext,
  call: OriginCall,
  attempt: (options: CallOptions) => Promise<T>,
): Promise<T> {
  const { limiter, clock, observer, random, retry } = context;
  const { operation, bucket } = call;
  const firstByteTimeoutMs = operation === 'list' ? LIST_FIRST_BYTE_TIMEOUT_MS : FIRST_BYTE_TIMEOUT_MS;
  const once = async (signal: AbortSignal): Promise<T> => {
    const startedMs = clock.now();
    try {
      // Raced, so that the slot becomes free even if a driver ignores its signal.
      const answer = await abortable(attempt({ signal, firstByteTimeoutMs }), signal);
      observer.originRequest(operation, 'ok', clock.now() - startedMs, { bucket });
      return answer;
    } catch (error) {
      if (!wasNotAsked(error)) observer.originRequest(operation, 'error', clock.now() - startedMs, { bucket });
      throw error;
    }
  };
  const late = () => new OrcaError('origin_unavailable', `no answer within ${TOTAL_TIMEOUT_MS} ms`);
  return withDeadline(clock, TOTAL_TIMEOUT_MS, late, undefined, (signal) =>
    // An open breaker ends the retries: known metadata is served at once, and no client waits for the next probe.
    withRetry({ settings: retry, clock, random, signal, isFinal: wasNotAsked }, () =>
      limiter.run(bucket, signal, () => once(signal)),
    ),
  );
}
