/** A replica's metadata cache, in bounded LRU tables: heads, absences, and versions that were found to be outdated. */
import { hasCode, type ErrorCode, type OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import { ANY_VERSION } from '#cache/core/peer/head-request.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Negative entries come from typing errors or probing: a tenth of the positive table is enough. */
const NEGATIVE_SHARE = 1 / 10;
/**
 * Names and headers of all heads, in characters. A hundred thousand typical heads need a third of it. As many heads
 * with all the user metadata that an origin allows would not fit the heap, which has 256 MiB in a pod.
 */
const MAX_HEADS_LENGTH = 48 * 1024 * 1024;
/** Few objects change while they are cached. */
const MAX_OUTDATED = 1_000;
/** Answers that would be the same on the next attempt: kept for the negative TTL. */
const NEGATIVE: readonly ErrorCode[] = [
  'not_found',
  'bucket_not_found',
  'access_denied',
  'version_not_found',
  'version_invalid',
  'delete_marker',
  'object_encrypted',
  'origin_missing_etag',
  'origin_unsupported',
];

export interface Absence {
  readonly error: OrcaError;
  readonly learnedMs: number;
}

export interface HeadTableOptions {
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly negativeTtlMs: number;
}

export class HeadTable {
  readonly #clock: Clock;
  readonly #negativeTtlMs: number;
  readonly #heads: LruTable<LearnedHead>;
  readonly #absences: LruTable<Absence>;
  /** By name, the last version that was found to be outdated. */
  readonly #outdated = new LruTable<string>({ maxEntries: MAX_OUTDATED });

  constructor({ clock, maxEntries, negativeTtlMs }: HeadTableOptions) {
    this.#clock = clock;
    this.#negativeTtlMs = negativeTtlMs;
    this.#heads = new LruTable({ maxEntries, maxWeight: MAX_HEADS_LENGTH, weigh: lengthOf });
    this.#absences = new LruTable({ maxEntries: Math.ceil(maxEntries * NEGATIVE_SHARE) });
  }

  get size(): number {
    return this.#heads.size + this.#absences.size;
  }

  /** The head, if it is at most `maxAgeMs` old. */
  fresh(name: string, maxAgeMs: number): LearnedHead | undefined {
    const known = this.#heads.get(name);
    return known !== undefined && this.ageMs(known) <= maxAgeMs ? known : undefined;
  }

  /** The absence, within its TTL. */
  absence(name: string): Absence | undefined {
    const absence = this.#absences.get(name);
    return absence !== undefined && this.ageMs(absence) < this.#negativeTtlMs ? absence : undefined;
  }

  isOutdated(name: string, etag: string): boolean {
    const outdated = this.#outdated.get(name);
    return outdated === ANY_VERSION || outdated === etag;
  }

  /** Records a head, unless a newer one is known; returns the version that it replaces, if it is another one. */
  remember(name: string, learned: LearnedHead): string | undefined {
    this.#absences.delete(name);
    const before = this.#heads.get(name);
    if (before !== undefined && before.learnedMs > learned.learnedMs) return undefined;
    this.#heads.set(name, learned);
    // A purge ends with the next origin request; an outdated version stays outdated.
    if (this.#outdated.get(name) === ANY_VERSION) this.#outdated.delete(name);
    return before?.head.etag === learned.head.etag ? undefined : before?.head.etag;
  }

  rememberFailure(name: string, error: unknown): void {
    if (!hasCode(error, ...NEGATIVE)) return;
    this.#heads.delete(name);
    // An absence that another replica reported has an age already: its TTL does not start again.
    this.#absences.set(name, { error, learnedMs: this.#clock.now() - (error.ageMs ?? 0) });
  }

  /** Drops this version, or `ANY_VERSION`. Another version that is known already stays. */
  forget(name: string, etag: string): void {
    if (etag === ANY_VERSION) this.#absences.delete(name);
    if (etag === ANY_VERSION || this.#heads.get(name)?.head.etag === etag) this.#heads.delete(name);
    this.#outdated.set(name, etag);
  }

  ageMs({ learnedMs }: { readonly learnedMs: number }): number {
    return Math.max(0, this.#clock.now() - learnedMs);
  }
}

function lengthOf(name: string, { head }: LearnedHead): number {
  let length = name.length;
  for (const header in head.headers) length += header.length + (head.headers[header]?.length ?? 0);
  return length;
}
