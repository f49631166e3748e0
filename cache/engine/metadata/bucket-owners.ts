/**
 * `x-amz-expected-bucket-owner`: the account that a client expects to own the bucket, which only the origin can confirm.
 * The request names the client's own key, so that the cache needs no further permission.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';

/** Accounts are few, and buckets do not change owners. */
const MAX_ENTRIES = 1_000;
/** The default TTL of metadata. */
const KEEP_MS = 300_000;

export class BucketOwners {
  readonly #context: OriginCallContext;
  /** When the origin last confirmed an owner. Refusals are not cached: they cost the same as without a cache. */
  readonly #confirmedMs = new LruTable<number>({ maxEntries: MAX_ENTRIES });

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** `key` is empty for the bucket itself. Rejects with `access_denied` for another owner, or the origin's codes. */
  async check(bucket: string, key: string, owner: string, signal: AbortSignal): Promise<void> {
    const { origin, clock } = this.#context;
    const name = JSON.stringify([bucket, owner]);
    const confirmedMs = this.#confirmedMs.get(name);
    if (confirmedMs !== undefined && clock.now() - confirmedMs < KEEP_MS) return;
    const call = { operation: 'head', bucket } as const;
    const askedMs = clock.now();
    try {
      const asked = callOrigin(this.#context, call, (options) => origin.checkOwner(bucket, key, owner, options));
      await abortable(asked, signal);
    } catch (error) {
      // While the origin is unavailable, an earlier confirmation stays valid.
      if (confirmedMs !== undefined && hasCode(error, 'origin_unavailable', 'origin_throttled')) return;
      throw error instanceof OrcaError && error.code === 'access_denied'
        ? new OrcaError('access_denied', `the origin does not confirm ${owner} as the bucket's owner`, { cause: error })
        : error;
    }
    this.#confirmedMs.set(name, askedMs);
  }
}
