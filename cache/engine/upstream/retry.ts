/** The one retry layer for origin calls: exponential backoff with full jitter, bounded in attempts and in time. */
import { hasCode, type OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { backoffMs } from '#shared/backoff.ts';

export interface RetrySettings {
  readonly attempts: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
  /** From the first attempt to the start of the last one, without progress in between. */
  readonly maxTotalDurationMs: number;
}

export interface RetryOptions {
  readonly settings: RetrySettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Whether the last attempt made progress: then attempts and time are counted from zero again. */
  readonly progressed?: () => boolean;
  /** Failures that are not retried although their code is transient. */
  readonly isFinal?: (error: OrcaError) => boolean;
}

export async function withRetry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const { settings, clock, random, signal } = options;
  let tries = 0;
  let startedMs = clock.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!hasCode(error, 'origin_unavailable', 'origin_throttled') || signal.aborted) throw error;
      if (options.isFinal?.(error) === true) throw error;
      if (options.progressed?.() === true) {
        tries = 0;
        startedMs = clock.now();
      }
      tries++;
      const askedMs = error.retryAfterMs ?? 0;
      const pauseMs = Math.max(
        backoffMs(tries - 1, settings.backoffInitialMs, settings.backoffMaxMs, random()),
        askedMs,
      );
      const isLate = clock.now() - startedMs + pauseMs > settings.maxTotalDurationMs;
      // A longer pause than our maximum is left to the client, which gets Retry-After and holds no resources meanwhile.
      if (tries >= settings.attempts || askedMs > settings.backoffMaxMs || isLate) throw error;
      await clock.sleep(pauseMs, signal);
    }
  }
}
