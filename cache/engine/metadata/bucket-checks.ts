/**
 * Whether a bucket of the allow-list exists at the origin, for requests that name no object. The question is a read of
 * one byte of a key that is usually missing, which needs no permission beyond those of reads: an origin that refuses
 * HeadBucket or ListBucket to the cache still serves its objects, and many SDKs send a HEAD of the bucket first.
 */
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';

/** Under a pattern clients may name any number of buckets. */
const MAX_ENTRIES = 1_000;
/** How long an outage is remembered, so that not every request waits for the end of its retries. */
const OUTAGE_MS = 5_000;
const OUTAGE: readonly ErrorCode[] = ['origin_unavailable', 'origin_throttled', 'overloaded'];

export interface CheckedBucket {
  readonly originBucket: string;
  readonly prefix: string;
  readonly metadataTtlMs: number;
  readonly immutable: boolean;
}

interface Known {
  /** Undefined = the bucket exists, or may exist. */
  readonly error: OrcaError | undefined;
  readonly untilMs: number;
}

export interface BucketChecksOptions extends OriginCallContext {
  readonly negativeTtlMs: number;
}

export class BucketChecks {
  readonly #options: BucketChecksOptions;
  readonly #flights = new Singleflight<string, Known>();
  readonly #known = new LruTable<Known>({ maxEntries: MAX_ENTRIES });

  constructor(options: BucketChecksOptions) {
    this.#options = options;
  }

  /** Rejects with `bucket_not_found`, `access_denied` where the origin denies even reads, or the origin's other codes. */
  async require(bucket: CheckedBucket, signal: AbortSignal): Promise<void> {
    const name = `${bucket.originBucket}\0${bucket.prefix}`;
    const known = this.#known.get(name);
    const isFresh = known !== undefined && this.#options.clock.now() < known.untilMs;
    const asked = isFresh
      ? known
      : await abortable(
          this.#flights.do(name, () => this.#ask(name, bucket, known)),
          signal,
        );
    if (asked.error !== undefined) throw asked.error;
  }

  async #ask(
    name: string,
    { originBucket, prefix, ...bucket }: CheckedBucket,
    last: Known | undefined,
  ): Promise<Known> {
    const { clock, origin, negativeTtlMs } = this.#options;
    const ttlMs = bucket.immutable ? Infinity : bucket.metadataTtlMs;
    const call = { operation: 'probe', bucket: originBucket } as const;
    const keep = (error: OrcaError | undefined, forMs: number): Known => {
      const known = { error, untilMs: clock.now() + forMs };
      this.#known.set(name, known);
      return known;
    };
    try {
      await callOrigin(this.#options, call, (options) => origin.probe(originBucket, prefix, options));
      return keep(undefined, ttlMs);
    } catch (error) {
      if (hasCode(error, 'bucket_not_found')) return keep(error, Math.min(negativeTtlMs, ttlMs));
      // What is stored is served meanwhile, so its bucket is there too.
      if (hasCode(error, ...OUTAGE)) return keep(last?.error, OUTAGE_MS);
      if (!hasCode(error, 'origin_denied')) throw error;
      throw new OrcaError('access_denied', `the origin denies all access to ${originBucket}`, { cause: error });
    }
  }
}
