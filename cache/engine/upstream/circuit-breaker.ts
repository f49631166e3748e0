/**
 * A circuit breaker: after enough failures within a window it opens, and calls fail at once. A single probe finds out
 * whether the other side is back, and a few successful probes in a row close it.
 */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';

export interface BreakerSettings {
  /** The number of failures within `windowMs` that opens it. */
  readonly failures: number;
  readonly windowMs: number;
  readonly probeEveryMs: number;
  /** The number of successful probes in a row that closes it. */
  readonly goodProbes: number;
  /** Whether a success resets the failure count: for a remote origin, where a few failures in thousands are normal. */
  readonly forgivesOnSuccess: boolean;
  /** The error code of an open breaker. */
  readonly code: ErrorCode;
  readonly name: string;
}

const NOT_ASKED = 'not_asked';

/** Whether an open breaker failed the call, without calling the other side. */
export function wasNotAsked(error: unknown): boolean {
  return error instanceof OrcaError && error.details === NOT_ASKED;
}

export type BreakerState = 'closed' | 'open' | 'probing';

export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #clock: Clock;
  readonly #onClose = new Set<() => void>();
  /** Times of the last failures, at most as many as open it. */
  #failedMs: number[] = [];
  #state: BreakerState = 'closed';
  #nextProbeMs = 0;
  #goodProbes = 0;
  #probes = 0;

  constructor(settings: BreakerSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Called each time it closes; returns the unsubscribe function. */
  onClose(listener: () => void): () => void {
    this.#onClose.add(listener);
    return () => this.#onClose.delete(listener);
  }

  /** Runs the call unless the breaker is open; `isFailure` distinguishes an outage from a negative answer. */
  async run<T>(isFailure: (error: unknown) => boolean, call: () => Promise<T>): Promise<T> {
    const isProbe = this.#admit();
    try {
      const result = await call();
      this.#succeeded(isProbe);
      return result;
    } catch (error) {
      if (isFailure(error)) this.#failed(isProbe);
      else if (!isNoAnswer(error)) this.#succeeded(isProbe);
      else if (isProbe) this.#probes--;
      throw error;
    }
  }

  #admit(): boolean {
    if (this.#state === 'closed') return false;
    const { name, code } = this.#settings;
    const waitMs = this.#nextProbeMs - this.#clock.now();
    // After one good probe every call is a probe: if refused, it would use a slower source without need.
    const mustWait = this.#probes > 0 && this.#goodProbes === 0;
    if (mustWait || waitMs > 0)
      throw new OrcaError(code, `${name} has failed too often: its circuit breaker is open`, {
        retryAfterMs: Math.max(waitMs, 1_000),
        details: NOT_ASKED,
      });
    this.#state = 'probing';
    this.#probes++;
    return true;
  }

  #succeeded(wasProbe: boolean): void {
    if (this.#settings.forgivesOnSuccess) this.#failedMs = [];
    if (!wasProbe) return;
    this.#probes--;
    // Another probe may have failed meanwhile.
    if (this.#state !== 'probing') return;
    if (++this.#goodProbes < this.#settings.goodProbes) return;
    this.#state = 'closed';
    this.#goodProbes = 0;
    this.#failedMs = [];
    for (const listener of this.#onClose) listener();
  }

  #failed(wasProbe: boolean): void {
    const nowMs = this.#clock.now();
    if (wasProbe) this.#probes--;
    if (wasProbe && this.#state === 'probing') {
      this.#open(nowMs);
      return;
    }
    const { failures, windowMs } = this.#settings;
    this.#failedMs = [...this.#failedMs, nowMs].slice(-failures);
    const first = this.#failedMs[0] ?? nowMs;
    if (this.#state === 'closed' && this.#failedMs.length >= failures && nowMs - first <= windowMs) this.#open(nowMs);
  }

  #open(nowMs: number): void {
    this.#state = 'open';
    this.#goodProbes = 0;
    this.#nextProbeMs = nowMs + this.#settings.probeEveryMs;
  }
}

/** A cancelled probe has no outcome: the next caller probes. */
function isNoAnswer(error: unknown): boolean {
  return error instanceof OrcaError && error.code === 'cancelled';
}
