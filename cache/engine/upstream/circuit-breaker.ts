/**
 * A circuit breaker: after enough failures in a window nobody is made to wait for the next one, a single probe finds out
 * when it may be over, and a few good ones in a row end it.
 */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';

export interface BreakerSettings {
  /** So many failures within `windowMs` open it. */
  readonly failures: number;
  readonly windowMs: number;
  readonly probeEveryMs: number;
  /** So many good probes in a row close it. */
  readonly goodProbes: number;
  /** A success wipes the failures before it: for a far origin, where a few in thousands are normal. */
  readonly forgivesOnSuccess: boolean;
  /** What an open breaker answers with. */
  readonly code: ErrorCode;
  readonly name: string;
}

const NOT_ASKED = 'not_asked';

/** Whether a breaker answered in the other side's stead. */
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

  /** Runs the call if it may; `isFailure` tells the other side's trouble from an answer that is merely a no. */
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
    // Once a probe was good, whoever comes is one: what they would do instead is to fetch from far away what is here.
    const mustWait = this.#probes > 0 && this.#goodProbes === 0;
    if (mustWait || waitMs > 0)
      throw new OrcaError(code, `${name} has failed too often and is not asked now`, {
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
    // Another may have found meanwhile that it is not over.
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

/** A caller that left took its probe's answer along: the next caller probes. */
function isNoAnswer(error: unknown): boolean {
  return error instanceof OrcaError && error.code === 'cancelled';
}
