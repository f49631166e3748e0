/**
 * `x-amz-expected-bucket-owner`: whose bucket a client takes this to be, which only the origin knows. It is asked with
 * what the client asks for, so that the cache needs no right more than the client's own request would.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';

const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** Accounts are few, and buckets do not change hands. */
const MAX_ENTRIES = 1_000;
/** As long as a head is good for by default. */
const KEEP_MS = 300_000;

export class BucketOwners {
  readonly #context: OriginCallContext;
  /** When the origin last said that it is so. Refusals are asked for anew: there they cost as much as without a cache. */
  readonly #confirmedMs = new LruTable<number>({ maxEntries: MAX_ENTRIES });

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** `key` is empty for the bucket itself. Rejects with `access_denied` for another's bucket, or the origin's codes. */
  async check(bucket: string, key: string, owner: string, signal: AbortSignal): Promise<void> {
    const { origin, clock } = this.#context;
    const name = JSON.stringify([bucket, owner]);
    const confirmedMs = this.#confirmedMs.get(name);
    if (confirmedMs !== undefined && clock.now() - confirmedMs < KEEP_MS) return;
    const call = { operation: 'head', bucket, firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS } as const;
    const askedMs = clock.now();
    try {
      const asked = callOrigin(this.#context, call, (options) => origin.checkOwner(bucket, key, owner, options));
      await abortable(asked, signal);
    } catch (error) {
      // While the origin is away, what it once said goes on.
      if (confirmedMs !== undefined && hasCode(error, 'origin_unavailable', 'origin_throttled')) return;
      throw error instanceof OrcaError && error.code === 'access_denied'
        ? new OrcaError('access_denied', `the bucket is not ${owner}'s, says the origin`, { cause: error })
        : error;
    }
    this.#confirmedMs.set(name, askedMs);
  }
}
