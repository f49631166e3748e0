/**
 * `partNumber=N`: the parts an object was uploaded in, which only the origin knows. Of a version they never change, so
 * each is asked for once.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { BoundedTable } from '#cache/core/lru-table.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';

const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** One object of the most parts, or many of a few. */
const MAX_ENTRIES = 10_000;

/** How many parts an ETag speaks of: S3's for a multipart upload ends in `-N`. Undefined: it was uploaded whole. */
export function partsCount(etag: string): number | undefined {
  const count = /-([1-9]\d{0,4})$/.exec(etag)?.[1];
  return count === undefined ? undefined : Number(count);
}

export class Parts {
  readonly #context: OriginCallContext;
  readonly #asked = new BoundedTable<Promise<ObjectPart>>({ maxEntries: MAX_ENTRIES });

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** Where the part is; rejects with `part_not_found`, or the origin's codes. */
  async of(object: ObjectVersion, part: number, signal: AbortSignal): Promise<ObjectPart> {
    const count = partsCount(object.etag);
    if (part > (count ?? 1))
      throw new OrcaError('part_not_found', `part ${part} of ${count ?? 1}`, {
        fields: { PartNumberRequested: String(part), ActualPartCount: String(count ?? 1) },
      });
    if (count === undefined) return { range: { from: 0, to: object.sizeBytes }, count };
    const name = JSON.stringify([object.bucket, object.key, object.etag, part]);
    const known = this.#asked.get(name);
    if (known !== undefined) return abortable(known, signal);
    const { origin } = this.#context;
    const call = { operation: 'head', bucket: object.bucket, firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS } as const;
    const asked = callOrigin(this.#context, call, (options) => origin.part(object, part, options));
    this.#asked.set(name, asked);
    asked.catch(() => this.#asked.delete(name));
    return abortable(asked, signal);
  }
}
