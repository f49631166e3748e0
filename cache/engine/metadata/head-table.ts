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

/** Whether the origin has answered that it has no such object for this cache. */
export function isAbsence(error: unknown): error is OrcaError {
  return hasCode(error, ...NEGATIVE);
}

export interface Absence {
  readonly error: OrcaError;
  readonly learnedMs: number;
}

/** A version that another one has replaced. */
export interface ReplacedVersion {
  readonly etag: string;
  readonly sizeBytes: number;
}

export interface Remembered {
  /** The version that was known until now, if it is another one. */
  readonly replaced?: ReplacedVersion;
  /** The version that was found to be outdated before this one was known. */
  readonly outdated?: ReplacedVersion;
}

interface Outdated {
  readonly etag: string;
  /** Undefined = its head was not known here. */
  readonly sizeBytes: number | undefined;
  readonly atMs: number;
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
  readonly #outdated = new LruTable<Outdated>({ maxEntries: MAX_OUTDATED });

  constructor({ clock, maxEntries, negativeTtlMs }: HeadTableOptions) {
    this.#clock = clock;
    this.#negativeTtlMs = negativeTtlMs;
    this.#heads = new LruTable({ maxEntries, maxWeight: MAX_HEADS_LENGTH, weigh: lengthOf });
    this.#absences = new LruTable({ maxEntries: Math.ceil(maxEntries * NEGATIVE_SHARE) });
  }

  get size(): number {
    return this.#heads.size + this.#absences.size;
  }

  /** The head, if it is younger than `maxAgeMs`: never with 0, since a write may have ended within the same ms. */
  fresh(name: string, maxAgeMs: number): LearnedHead | undefined {
    const known = this.#heads.get(name);
    return known !== undefined && this.ageMs(known) < maxAgeMs ? known : undefined;
  }

  /** The absence, if it is younger than `maxAgeMs` and within its TTL. */
  absence(name: string, maxAgeMs: number): Absence | undefined {
    const absence = this.#absences.get(name);
    const limitMs = Math.min(maxAgeMs, this.#negativeTtlMs);
    return absence !== undefined && this.ageMs(absence) < limitMs ? absence : undefined;
  }

  isOutdated(name: string, etag: string): boolean {
    const outdated = this.#outdated.get(name)?.etag;
    return outdated === ANY_VERSION || outdated === etag;
  }

  /** Whether this version was found to be outdated, and has not been recorded since. */
  isForgotten(name: string, etag: string): boolean {
    return this.#outdated.get(name)?.etag === etag && this.#heads.get(name)?.head.etag !== etag;
  }

  /** Records a head, unless a newer one is known, and returns which versions it replaces. */
  remember(name: string, learned: LearnedHead): Remembered {
    const { etag } = learned.head;
    const outdated = this.#outdated.get(name);
    // Another replica may not know yet that this version is outdated.
    if (outdated?.etag === etag && learned.learnedMs <= outdated.atMs) return {};
    const absence = this.#absences.get(name);
    if (absence !== undefined && absence.learnedMs > learned.learnedMs) return {};
    const before = this.#heads.get(name);
    if (before !== undefined && before.learnedMs > learned.learnedMs) return {};
    this.#absences.delete(name);
    this.#heads.set(name, learned);
    // A purge ends with the origin's next response. A version may return: the same content was written again.
    if (outdated?.etag === ANY_VERSION || outdated?.etag === etag) this.#outdated.delete(name);
    const replaced = before?.head.etag === etag ? undefined : before?.head;
    const isNews = outdated?.sizeBytes !== undefined && outdated.etag !== etag;
    // Told once: another new version replaces this one, not the one before it.
    if (isNews) this.#outdated.set(name, { ...outdated, sizeBytes: undefined });
    return {
      ...(replaced !== undefined && { replaced: { etag: replaced.etag, sizeBytes: replaced.sizeBytes } }),
      ...(isNews && { outdated: { etag: outdated.etag, sizeBytes: outdated.sizeBytes } }),
    };
  }

  /** Records an absence that was requested at `askedMs`, unless a newer head is known. */
  rememberFailure(name: string, error: unknown, askedMs: number): void {
    if (!isAbsence(error)) return;
    // An absence that another replica reported has an age already: its TTL does not start again.
    const learnedMs = askedMs - (error.ageMs ?? 0);
    const before = this.#heads.get(name) ?? this.#absences.get(name);
    if (before !== undefined && before.learnedMs > learnedMs) return;
    this.#heads.delete(name);
    this.#absences.set(name, { error, learnedMs });
  }

  /** Drops this version, or `ANY_VERSION`. Another version that is known already stays. */
  forget(name: string, etag: string): void {
    if (etag === ANY_VERSION) this.#absences.delete(name);
    const known = this.#heads.get(name)?.head;
    const sizeBytes = known?.etag === etag ? known.sizeBytes : undefined;
    if (etag === ANY_VERSION || known?.etag === etag) this.#heads.delete(name);
    this.#outdated.set(name, { etag, sizeBytes, atMs: this.#clock.now() });
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
