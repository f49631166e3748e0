/** What the parts of one walk share: limits, figures, and what to do when origin or cachestore do not answer. */
import { asOrcaError, hasCode, type ErrorCode } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { backoffMs } from '#shared/backoff.ts';
import { Pace } from './pace.ts';
import type { PrewarmRun } from './resource.ts';
import { Slots } from './slots.ts';
import { Speed } from './speed.ts';

/** Clients use the origin too, and heads are small. */
const MAX_RESOLVING = 16;

/** Nothing is wrong with the object: origin, cachestore or another replica do not answer, or are busy with clients. */
const AWAY: readonly ErrorCode[] = [
  'origin_unavailable',
  'origin_throttled',
  'origin_denied',
  'origin_wrong_region',
  'store_unavailable',
  'peer_unavailable',
  'not_coordinator',
  'overloaded',
  'cancelled',
];
/** Over in a moment. */
const BUSY: readonly ErrorCode[] = ['overloaded', 'cancelled', 'not_coordinator', 'peer_unavailable'];
/** It may be the object after all: an origin that fails for one key only. */
const PERHAPS_THE_OBJECT: readonly ErrorCode[] = ['origin_unavailable', 'store_unavailable', 'origin_denied'];
const BUSY_BACKOFF = { initialMs: 250, maxMs: 5_000 };
const AWAY_BACKOFF = { initialMs: 1_000, maxMs: 30_000 };
/** The upper limit for Retry-After. */
const MAX_RETRY_AFTER_MS = 60_000;
/** About a minute, while other objects are warmed. */
const SUSPICIOUS_FAILURES = 8;

export interface RunContextOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly onOriginBytes: (lengthBytes: number) => void;
}

export class RunContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly pace: Pace;
  /** Chunks. */
  readonly slots: Slots;
  readonly resolving: Slots;
  /** How fast chunks are found or stored. */
  readonly speed: Speed;
  /** How fast the origin is read. */
  readonly #originSpeed: Speed;
  readonly #onOriginBytes: (lengthBytes: number) => void;
  #successes = 0;
  #trouble = '';

  constructor(run: PrewarmRun, options: RunContextOptions) {
    const { clock, random, onOriginBytes } = options;
    this.clock = clock;
    this.random = random;
    this.#onOriginBytes = onOriginBytes;
    this.pace = new Pace(clock, run.maxBytesPerSecond);
    this.slots = new Slots(run.parallelism);
    this.resolving = new Slots(Math.min(MAX_RESOLVING, run.parallelism));
    this.speed = new Speed(clock);
    this.#originSpeed = new Speed(clock);
  }

  /** Why nothing moves; '' = it does. */
  get trouble(): string {
    return this.#trouble;
  }

  update({ maxBytesPerSecond, parallelism }: PrewarmRun): void {
    this.pace.setLimit(maxBytesPerSecond);
    this.slots.resize(parallelism);
    this.resolving.resize(Math.min(MAX_RESOLVING, parallelism));
  }

  read(originBytes: number): void {
    this.#originSpeed.add(originBytes);
    this.#onOriginBytes(originBytes);
  }

  /**
   * Calls until it succeeds or fails for the object's own sake: while origin or cachestore do not answer, no object fails
   * for that. The run's deadline is the only limit, and `signal`. `isAnswering`: whether the origin answers at all, for an
   * attempt while which no other object may be left that succeeds.
   */
  async patiently<T>(
    signal: AbortSignal,
    call: () => Promise<T>,
    isAnswering: () => Promise<boolean> = async () => false,
  ): Promise<T> {
    let [failures, others] = [0, this.#successes];
    for (;;) {
      signal.throwIfAborted();
      try {
        const result = await call();
        this.#successes += 1;
        this.#trouble = '';
        return result;
      } catch (thrown) {
        signal.throwIfAborted();
        if (!hasCode(thrown, ...AWAY)) throw thrown;
        if (failures === 0) others = this.#successes;
        failures += 1;
        if (failures >= SUSPICIOUS_FAILURES && hasCode(thrown, ...PERHAPS_THE_OBJECT)) {
          const othersSucceed = this.#successes - others >= SUSPICIOUS_FAILURES;
          if (othersSucceed || (await isAnswering())) throw thrown;
        }
        await this.#wait(thrown, failures, signal);
      }
    }
  }

  async #wait(thrown: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const error = asOrcaError(thrown, 'internal', 'unexpected');
    if (error.code === 'origin_throttled') this.pace.throttled(this.#originSpeed.bytesPerSecond());
    const isBusy = BUSY.includes(error.code);
    this.#trouble = isBusy ? `waiting: ${error.message}` : `waiting for ${error.code}: ${error.message}`;
    const { initialMs, maxMs } = isBusy ? BUSY_BACKOFF : AWAY_BACKOFF;
    const hintMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    // Never at once: with full jitter a wait may be 0.
    const waitMs = initialMs / 4 + backoffMs(failures - 1, initialMs, maxMs, this.random());
    await this.clock.sleep(Math.max(hintMs, waitMs), signal);
  }
}
