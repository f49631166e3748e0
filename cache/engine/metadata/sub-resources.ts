/**
 * Documents about buckets and objects, read through to the origin with the cache's rights there. Concurrent requests are
 * coalesced, and an answer is used for as long as a page of a list. It is not served while the origin is down: tools
 * decide by tags and locks.
 */
import { ACCEPTS_ALL, type ClientCacheControl } from '#cache/core/cache-control.ts';
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { FreshFlights } from './fresh-flights.ts';

/** Tags of one object take at most some KiB. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_ENTRIES = 10_000;
/** An entry with its name, besides the document. */
const ENTRY_BYTES = 500;
/** Answers that would be the same on the next attempt. */
const LASTING: readonly ErrorCode[] = [
  'access_denied',
  'bucket_not_found',
  'delete_marker',
  'not_found',
  'not_implemented',
  'version_not_found',
];

export interface SubResourcesOptions extends OriginCallContext {
  /** 0 = every request queries the origin. */
  readonly ttlMs: number;
}

type Outcome = { readonly answer: SubResourceAnswer } | { readonly error: unknown };

export class SubResources {
  readonly #options: SubResourcesOptions;
  readonly #flights = new FreshFlights<SubResourceAnswer>();
  readonly #known = new LruTable<{ readonly outcome: Outcome; readonly learnedMs: number }>({
    maxEntries: MAX_ENTRIES,
    maxWeight: MAX_BYTES,
    weigh: (name, { outcome }) => ENTRY_BYTES + 2 * name.length + bytesOf(outcome),
  });

  constructor(options: SubResourcesOptions) {
    this.#options = options;
  }

  /** The key is empty for the bucket. Rejects with the origin's codes, or `not_implemented`. */
  async read(
    object: Omit<ObjectName, 'originId'>,
    wanted: SubResource,
    signal: AbortSignal,
    { maxAgeMs = Number.POSITIVE_INFINITY, onlyIfCached }: ClientCacheControl = ACCEPTS_ALL,
  ): Promise<SubResourceAnswer> {
    const ttlMs = Math.min(this.#options.ttlMs, maxAgeMs);
    const { bucket, key, versionId } = object;
    const name = JSON.stringify([bucket, key, versionId ?? null, wanted.name]);
    const known = this.#known.get(name);
    if (known !== undefined && this.#options.clock.now() - known.learnedMs < ttlMs) {
      if ('error' in known.outcome) throw known.outcome.error;
      return known.outcome.answer;
    }
    if (onlyIfCached) throw new OrcaError('not_cached', `?${wanted.name} is not in memory`);
    return abortable(
      this.#flights.do(name, ttlMs > 0, () => this.#ask(name, object, wanted)),
      signal,
    );
  }

  async #ask(name: string, object: Omit<ObjectName, 'originId'>, wanted: SubResource): Promise<SubResourceAnswer> {
    const { origin, clock } = this.#options;
    const { bucket, key, versionId } = object;
    const learnedMs = clock.now();
    const call = { operation: 'sub_resource', bucket } as const;
    try {
      const answer = await callOrigin(this.#options, call, (options) =>
        origin.subResource(bucket, key, wanted, options, versionId),
      );
      this.#keep(name, { answer }, learnedMs);
      return answer;
    } catch (error) {
      if (hasCode(error, ...LASTING)) this.#keep(name, { error }, learnedMs);
      throw error;
    }
  }

  #keep(name: string, outcome: Outcome, learnedMs: number): void {
    if (this.#options.ttlMs > 0) this.#known.set(name, { outcome, learnedMs });
  }
}

function bytesOf(outcome: Outcome): number {
  return 'answer' in outcome && 'document' in outcome.answer ? 2 * outcome.answer.document.length : 0;
}
