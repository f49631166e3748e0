/**
 * What this replica knows of objects: heads for a TTL, absences for a shorter one in a table of their own, one origin
 * HEAD at a time for a key. Age counts from the origin's answer.
 */
import { hasCode, OrcaError, type ErrorCode } from '../core/errors.ts';
import type { ObjectHead } from '../core/object.ts';
import { abortable, withDeadline } from './abortable.ts';
import type { OriginLimiter } from './limiter.ts';
import type { Clock, Observer, Origin } from './ports.ts';
import { withRetry, type RetrySettings } from './retry.ts';

/** Absent keys are asked for by mistake or by probing; a tenth of the positive table is plenty. */
const NEGATIVE_SHARE = 1 / 10;
/** Two seconds to a first byte each (cache.md §5), and the retries' own budget. */
const HEAD_TIMEOUT_MS = 2_000;
/** Outlives any retry budget that the configuration allows. */
const FLIGHT_TIMEOUT_MS = 60_000;
/** What will be the same on the next try: remembered for the negative TTL. */
const LASTING: readonly ErrorCode[] = [
  'not_found',
  'bucket_not_found',
  'access_denied',
  'origin_missing_etag',
  'origin_unsupported',
];

export interface MetadataOptions {
  readonly origin: Origin;
  readonly limiter: OriginLimiter;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  readonly retry: RetrySettings;
  readonly maxEntries: number;
  readonly negativeTtlMs: number;
}

export interface KnownHead {
  readonly head: ObjectHead;
  readonly ageMs: number;
}

interface Entry<T> {
  readonly value: T;
  readonly learnedMs: number;
}

export class Metadata {
  readonly #options: MetadataOptions;
  readonly #heads: BoundedTable<ObjectHead>;
  readonly #absences: BoundedTable<OrcaError>;
  readonly #flights = new Map<string, Promise<KnownHead>>();

  constructor(options: MetadataOptions) {
    this.#options = options;
    this.#heads = new BoundedTable(options.maxEntries);
    this.#absences = new BoundedTable(Math.ceil(options.maxEntries * NEGATIVE_SHARE));
  }

  get size(): number {
    return this.#heads.size + this.#absences.size;
  }

  /** The object's head, at most `ttlMs` old. Rejects with the origin's not_found, access_denied, origin_* codes. */
  async resolve(bucket: string, key: string, ttlMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = tableKey(bucket, key);
    const nowMs = this.#options.clock.now();
    const known = this.#heads.get(name);
    if (known !== undefined && nowMs - known.learnedMs < ttlMs)
      return { head: known.value, ageMs: nowMs - known.learnedMs };
    const absence = this.#absences.get(name);
    if (absence !== undefined && nowMs - absence.learnedMs < this.#options.negativeTtlMs) throw absence.value;
    return abortable(this.#ask(name, bucket, key), signal);
  }

  /** Drops what is known of the key if it is this ETag: a newer one that somebody has learned stays. */
  invalidate(bucket: string, key: string, badEtag: string): void {
    const name = tableKey(bucket, key);
    if (this.#heads.get(name)?.value.etag === badEtag) this.#heads.delete(name);
    // A HEAD that was sent before may bring the old ETag back: the next reader asks anew.
    this.#flights.delete(name);
  }

  /** A flight belongs to no caller: one that leaves takes nothing from the others. */
  #ask(name: string, bucket: string, key: string): Promise<KnownHead> {
    const joined = this.#flights.get(name);
    if (joined !== undefined) return joined;
    const flight: Promise<KnownHead> = this.#head(bucket, key).then(
      (head) => {
        this.#settle(name, flight, () => this.#remember(name, head));
        return { head, ageMs: 0 };
      },
      (error: unknown) => {
        this.#settle(name, flight, () => this.#rememberFailure(name, error));
        throw error;
      },
    );
    flight.catch(() => {});
    this.#flights.set(name, flight);
    return flight;
  }

  /** An invalidated flight's answer goes to those who wait for it, and no further. */
  #settle(name: string, flight: Promise<KnownHead>, record: () => void): void {
    if (this.#flights.get(name) !== flight) return;
    this.#flights.delete(name);
    record();
  }

  #remember(name: string, head: ObjectHead): void {
    this.#absences.delete(name);
    this.#heads.set(name, { value: head, learnedMs: this.#options.clock.now() });
  }

  #rememberFailure(name: string, error: unknown): void {
    if (!hasCode(error, ...LASTING)) return;
    this.#heads.delete(name);
    this.#absences.set(name, { value: error, learnedMs: this.#options.clock.now() });
  }

  async #head(bucket: string, key: string): Promise<ObjectHead> {
    const { origin, limiter, clock, observer, random, retry } = this.#options;
    const late = () => new OrcaError('origin_unavailable', `no answer within ${FLIGHT_TIMEOUT_MS} ms`);
    return withDeadline(clock, FLIGHT_TIMEOUT_MS, late, undefined, (signal) =>
      withRetry({ settings: retry, clock, random, signal }, () =>
        limiter.run(signal, async () => {
          const startedMs = clock.now();
          let outcome: 'ok' | 'error' = 'error';
          try {
            const head = await origin.head(bucket, key, { signal, firstByteTimeoutMs: HEAD_TIMEOUT_MS });
            outcome = 'ok';
            return head;
          } finally {
            observer.originRequest('head', outcome, clock.now() - startedMs);
          }
        }),
      ),
    );
  }
}

/** A table that forgets what was used longest ago. */
class BoundedTable<T> {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(maxEntries: number) {
    this.#maxEntries = Math.max(1, maxEntries);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): Entry<T> | undefined {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, entry);
    }
    return entry;
  }

  set(name: string, entry: Entry<T>): void {
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    if (this.#entries.size <= this.#maxEntries) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }
}

/** No bucket name holds a NUL. */
function tableKey(bucket: string, key: string): string {
  return `${bucket}\0${key}`;
}
