/**
 * The buckets of the origin that clients see under the patterns of the allow-list. The origin is queried for each request;
 * concurrent ones are coalesced (singleflight).
 */
import { prefixOf } from '#cache/core/s3/bucket-name.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';
import type { BucketTable } from './bucket-rule.ts';

export class BucketNames {
  readonly #context: OriginCallContext;
  readonly #flights = new Singleflight<string, readonly string[]>();

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** The client's names. Rejects with the origin's codes. */
  async list(table: BucketTable, signal: AbortSignal): Promise<readonly string[]> {
    const found = await Promise.all(
      table.patterns().map(async (rule) => {
        const names = await abortable(this.#ask(prefixOf(rule.originBucket)), signal);
        return names.flatMap((name) => table.clientNameOf(rule, name) ?? []);
      }),
    );
    return [...new Set(found.flat())];
  }

  #ask(prefix: string): Promise<readonly string[]> {
    const { origin } = this.#context;
    const call = { operation: 'list', bucket: '' } as const;
    return this.#flights.do(prefix, () =>
      callOrigin(this.#context, call, (options) => origin.listBuckets(prefix, options)),
    );
  }
}
