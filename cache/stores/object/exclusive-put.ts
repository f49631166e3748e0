/**
 * Writes an object so that exactly one writer wins: with `PUT If-None-Match: *`, or, until the store is proven to enforce
 * this condition, with a HEAD and an unconditional PUT. Every upload has a checksum, because some stores publish a
 * truncated body that has none.
 */
import type { PutOutcome } from '#cache/core/store-verdict.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { WireError } from '#cache/wire/http1/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Clock } from '#shared/clock.ts';
import type { ObjectWire, Upload } from './object-wire.ts';
import { unavailable } from './store-errors.ts';

/** Another conditional write may be in progress. After several waits as long as such a write, the store is not healthy. */
const CREATE_ATTEMPTS = 5;
const CONFLICT_DELAY_MIN_MS = 50;
const CONFLICT_DELAY_SPREAD_MS = 200;

/** The stored object, compared with the one to be written. */
export type Found = 'same' | 'other' | 'absent';

export interface Existing {
  /** Queries the store, after a response that leaves the outcome open. */
  readonly find: () => Promise<Found>;
  /** What happens if the store has another object under the key. */
  readonly ifOther: 'replace' | 'lose';
}

interface Offer {
  readonly outcome: PutOutcome;
  /** The store's response as an error, unless the write succeeded. */
  readonly error?: unknown;
}

export class ExclusivePut {
  readonly #wire: ObjectWire;
  readonly #clock: Clock;
  #isTrusted = false;

  constructor(wire: ObjectWire, clock: Clock) {
    this.#wire = wire;
    this.#clock = clock;
  }

  /** Whether the condition decides; false until the store has been probed. */
  trust(isTrusted: boolean): void {
    this.#isTrusted = isTrusted;
  }

  /** An unconditional, checksummed PUT. */
  async replace(upload: Upload, call: CallOptions): Promise<'won'> {
    const response = await this.#send(upload, false, call);
    if (response.status >= 300) throw unavailable(this.#wire.errorFor(response, upload.key));
    return 'won';
  }

  /** One conditional PUT and its outcome, for the probe of conditional writes. */
  async offer(upload: Upload, call: CallOptions): Promise<PutOutcome> {
    return (await this.#offer(upload, call)).outcome;
  }

  /** Creates the object unless it exists. */
  async create(upload: Upload, existing: Existing, call: CallOptions): Promise<'won' | 'lost'> {
    const { find, ifOther } = existing;
    if (!this.#isTrusted) {
      const settled = await this.#settle(await find(), upload, existing, call);
      if (settled !== undefined) return settled;
      // Identical bytes make the race harmless. An object that only one writer may create is written conditionally all
      // the same: a store that enforces the condition decides, and for any other it makes no difference.
      if (ifOther === 'replace') return this.replace(upload, call);
    }
    for (let attempt = 1; ; attempt++) {
      const { outcome, error } = await this.#offer(upload, call);
      if (outcome === 'won') return 'won';
      if (outcome === 'conflict' && this.#isTrusted) throw error;
      const found = await find();
      // Only the response to our own write was lost.
      if (outcome === 'unknown' && ifOther === 'lose' && found === 'same') return 'won';
      const settled = await this.#settle(found, upload, existing, call);
      if (settled !== undefined) return settled;
      if (outcome === 'unsupported' || outcome === 'conflict') {
        // From now on, query first and write unconditionally.
        this.#isTrusted = false;
        return this.replace(upload, call);
      }
      // The object was deleted meanwhile, or the connection closed before the store had it: try again.
      if (attempt >= CREATE_ATTEMPTS || outcome === 'unknown') throw error;
    }
  }

  /** The result that follows from the stored object; undefined if there is no object. */
  async #settle(
    found: Found,
    upload: Upload,
    { ifOther }: Existing,
    call: CallOptions,
  ): Promise<'won' | 'lost' | undefined> {
    if (found === 'absent') return undefined;
    return found === 'same' || ifOther === 'lose' ? 'lost' : this.replace(upload, call);
  }

  async #offer(upload: Upload, call: CallOptions): Promise<Offer> {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#send(upload, true, call);
        if (response.status < 300) return { outcome: 'won' };
        const error = unavailable(this.#wire.errorFor(response, upload.key));
        const condition = this.#wire.conditionOf(response);
        if (condition === undefined) throw error;
        if (condition !== 'again') return { outcome: condition, error };
        if (attempt >= CREATE_ATTEMPTS) return { outcome: 'conflict', error };
      } catch (error) {
        // A store that answers before it has read the body, and closes, appears as a reset: the outcome is unknown.
        if (error instanceof WireError && error.failure === 'closed') return { outcome: 'unknown', error };
        throw error;
      }
      await this.#pause(call.signal);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const ms = CONFLICT_DELAY_MIN_MS + Math.random() * CONFLICT_DELAY_SPREAD_MS;
    await this.#clock.sleep(ms, signal).catch(() => {
      throw cancelledBy(signal);
    });
  }

  async #send(upload: Upload, ifAbsent: boolean, call: CallOptions): Promise<RawResponse> {
    const headers = await this.#wire.uploadHeaders(upload, call);
    if (ifAbsent) headers['if-none-match'] = '*';
    return this.#wire.send({ method: 'PUT', key: upload.key, headers, body: upload.pieces }, call);
  }
}
