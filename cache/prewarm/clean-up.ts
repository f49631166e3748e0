/**
 * Deletes records and pins of prewarms whose resource was deleted: soon after the event, and hourly those that were missed,
 * because no replica ran or the cachestore did not answer.
 */
import type { Clock } from '#cache/engine/ports.ts';
import type { Pins } from '#cache/engine/capacity/pins.ts';
import type { Log } from '#shared/log.ts';
import type { Lead } from './lead.ts';
import type { Records } from './records.ts';

const EVERY_MS = 60 * 60_000;
/** Another replica may know a new resource before this one does, and write its record. */
const CONFIRM_MS = 60_000;
/** A cachestore that is unavailable for longer is swept later. */
const ATTEMPTS = 3;
const RETRY_MS = 5_000;
/** Further records are left to the next sweep. */
const MAX_CANDIDATES = 1000;
/** The replica that ranks first for this name sweeps. */
const SWEEPER = '_orca/prewarm';

export interface CleanUpOptions {
  readonly lead: Pick<Lead, 'dropped' | 'isFirst' | 'resources'>;
  readonly records: Records;
  readonly pins: Pick<Pins, 'remove'>;
  /** `<namespace>/<name>` of the cache: records of others are not touched. */
  readonly cache: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class CleanUp {
  readonly #options: CleanUpOptions;

  constructor(options: CleanUpOptions) {
    this.#options = options;
  }

  /** A resource was deleted. Never rejects. */
  async deleted(uid: string, signal: AbortSignal): Promise<void> {
    const { lead, clock, log } = this.#options;
    await lead.dropped(uid);
    if (!lead.isFirst(`_orca/prewarm/${uid}`)) return;
    for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt++) {
      try {
        return await this.#remove(uid, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn('prewarm: what a deleted prewarm left in the cachestore cannot be removed', { uid, attempt, error });
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Sweeps once an hour, until the signal aborts. `isComplete`: all resources are known. */
  async run(isComplete: () => boolean, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        if (isComplete()) await this.sweep(signal);
        await clock.sleep(isComplete() ? EVERY_MS : CONFIRM_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn('prewarm: records in the cachestore cannot be swept', { error });
        await clock.sleep(EVERY_MS, signal).catch(() => {});
      }
    }
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { lead, records, clock } = this.#options;
    if (!lead.isFirst(SWEEPER)) return;
    const candidates: string[] = [];
    for await (const uid of records.uids(signal)) {
      if (!lead.resources.has(uid)) candidates.push(uid);
      if (candidates.length === MAX_CANDIDATES) break;
    }
    if (candidates.length === 0) return;
    await clock.sleep(CONFIRM_MS, signal);
    for (const uid of candidates) if (!lead.resources.has(uid)) await this.#remove(uid, signal);
  }

  /** The record last: it has the names of the pins. */
  async #remove(uid: string, signal: AbortSignal): Promise<void> {
    const { records, pins, cache, log } = this.#options;
    const record = await records.read(uid, signal);
    if (record === undefined || record.cache !== cache) return;
    const { name, previous } = record.pin;
    for (const pin of new Set([name, previous])) if (pin !== '') await pins.remove(pin, signal);
    await records.remove(uid, signal);
    log.info('prewarm: removed what it left in the cachestore', { prewarm: record.name, uid });
  }
}
