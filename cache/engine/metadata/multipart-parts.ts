/**
 * `partNumber=N`: the parts in which an object was uploaded, which only the origin knows. The parts of a version never
 * change, so each is looked up once (singleflight, then an LRU table).
 */
import { OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';

/** One object with the maximum number of parts, or many with a few. */
const MAX_ENTRIES = 10_000;

/** The number of parts that an ETag names: S3's ends in `-N` after a multipart upload. Undefined: uploaded whole. */
export function partsCount(etag: string): number | undefined {
  const count = /-([1-9]\d{0,4})$/.exec(etag)?.[1];
  return count === undefined ? undefined : Number(count);
}

export class MultipartParts {
  readonly #context: OriginCallContext;
  readonly #known = new LruTable<ObjectPart>({ maxEntries: MAX_ENTRIES });
  readonly #flights = new Singleflight<string, ObjectPart>();

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** The part's byte range; rejects with `part_not_found`, or the origin's codes. */
  async of(object: ObjectVersion, part: number, signal: AbortSignal): Promise<ObjectPart> {
    const count = partsCount(object.etag);
    if (part > (count ?? 1))
      throw new OrcaError('part_not_found', `part ${part} of ${count ?? 1}`, {
        fields: { PartNumberRequested: String(part), ActualPartCount: String(count ?? 1) },
      });
    if (count === undefined) return { range: { from: 0, to: object.sizeBytes }, count };
    const name = JSON.stringify([object.bucket, object.key, object.etag, part]);
    const ask = () => this.#ask(name, object, part);
    return this.#known.get(name) ?? abortable(this.#flights.do(name, ask), signal);
  }

  async #ask(name: string, object: ObjectVersion, part: number): Promise<ObjectPart> {
    const { origin } = this.#context;
    const call = { operation: 'head', bucket: object.bucket } as const;
    const known = await callOrigin(this.#context, call, (options) => origin.part(object, part, options));
    this.#known.set(name, known);
    return known;
  }
}
