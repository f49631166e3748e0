/**
 * A circuit breaker: when most calls within a window fail, it opens, and calls fail at once. A single probe finds out
 * whether the other side is back, and a few successful probes in a row close it.
 *
 * A few failures among many successes are normal, and so is an object that always fails: neither says anything about
 * other calls. So a minimum number of failures, of different keys, is necessary.
 */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { OutcomeWindow } from './outcome-window.ts';

export interface BreakerSettings {
  /** The minimum number of failures within `windowMs` that opens it. */
  readonly failures: number;
  /** The minimum number of keys among them. */
  readonly distinctKeys: number;
  /** The minimum share of failures among all calls within `windowMs`. Failures in a row open it as well. */
  readonly ratio: number;
  readonly windowMs: number;
  readonly probeEveryMs: number;
  /** The number of successful probes in a row that closes it. */
  readonly goodProbes: number;
  /** The error code of an open breaker. */
  readonly code: ErrorCode;
  readonly name: string;
}

export interface BreakerCall {
  /** The object that the call is about. */
  readonly key: string;
  /** It continues work that would be lost with it: an open breaker lets it pass, as a probe. */
  readonly continues?: boolean | undefined;
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
  readonly #outcomes: OutcomeWindow;
  #state: BreakerState = 'closed';
  #nextProbeMs = 0;
  #goodProbes = 0;
  #probes = 0;

  constructor(settings: BreakerSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#outcomes = new OutcomeWindow(settings);
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
  async run<T>(about: BreakerCall, isFailure: (error: unknown) => boolean, call: () => Promise<T>): Promise<T> {
    const isProbe = this.#admit(about.continues === true);
    try {
      const result = await call();
      this.#succeeded(isProbe);
      return result;
    } catch (error) {
      if (isFailure(error) && !wasNotAsked(error)) this.#failed(isProbe, about.key);
      else if (!isNoAnswer(error)) this.#succeeded(isProbe);
      else if (isProbe) this.#probes--;
      throw error;
    }
  }

  /** For calls that neither probe nor count. */
  throwUnlessClosed(): void {
    if (this.#state !== 'closed') throw this.#refusal(this.#nextProbeMs - this.#clock.now());
  }

  /** Records the failure of a call that did not run through it. */
  failed(key: string): void {
    this.#failed(false, key);
  }

  #admit(mayPass: boolean): boolean {
    if (this.#state === 'closed') return false;
    const waitMs = this.#nextProbeMs - this.#clock.now();
    // After one good probe every call is a probe: if refused, it would use a slower source without need.
    const mustWait = this.#probes > 0 && this.#goodProbes === 0;
    if (!mayPass && (mustWait || waitMs > 0)) throw this.#refusal(waitMs);
    this.#state = 'probing';
    this.#probes++;
    return true;
  }

  #refusal(waitMs: number): OrcaError {
    const { name, code } = this.#settings;
    return new OrcaError(code, `${name} has failed too often: its circuit breaker is open`, {
      retryAfterMs: Math.max(waitMs, 1_000),
      details: NOT_ASKED,
    });
  }

  #succeeded(wasProbe: boolean): void {
    this.#outcomes.succeeded(this.#clock.now());
    if (!wasProbe) return;
    this.#probes--;
    // Another probe may have failed meanwhile.
    if (this.#state !== 'probing') return;
    if (++this.#goodProbes < this.#settings.goodProbes) return;
    this.#state = 'closed';
    this.#goodProbes = 0;
    this.#outcomes.clear();
    for (const listener of this.#onClose) listener();
  }

  #failed(wasProbe: boolean, key: string): void {
    const nowMs = this.#clock.now();
    this.#outcomes.failed(key, nowMs);
    if (wasProbe) this.#probes--;
    if (wasProbe && this.#state === 'probing') this.#open(nowMs);
    else if (this.#state === 'closed' && this.#outcomes.isOutage(nowMs)) this.#open(nowMs);
  }

  #open(nowMs: number): void {
    this.#state = 'open';
    this.#goodProbes = 0;
    this.#nextProbeMs = nowMs + this.#settings.probeEveryMs;
  }
}

/** A probe that was cancelled, or refused by a second breaker, has no outcome: the next caller probes. */
function isNoAnswer(error: unknown): boolean {
  return wasNotAsked(error) || (error instanceof OrcaError && error.code === 'cancelled');
}
