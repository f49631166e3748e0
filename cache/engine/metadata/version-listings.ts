/**
 * Lists of versions are read through to the origin. They are rare, so that only concurrent requests for the same page are
 * coalesced (singleflight).
 */
import type { VersionPage, VersionQuery } from '#cache/core/s3/version-list.ts';
import { abortable } from '#shared/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';

export class VersionListings {
  readonly #context: OriginCallContext;
  readonly #pages = new Singleflight<string, VersionPage>();

  constructor(context: OriginCallContext) {
    this.#context = context;
  }

  /** `bucket` and names are the origin's. Rejects with the origin's codes. */
  list(bucket: string, query: VersionQuery, signal: AbortSignal): Promise<VersionPage> {
    const { prefix, delimiter, keyMarker, versionIdMarker, maxKeys } = query;
    const name = JSON.stringify([bucket, prefix, delimiter, keyMarker, versionIdMarker, maxKeys]);
    const call = { operation: 'list', bucket } as const;
    const asking = this.#pages.do(name, () =>
      callOrigin(this.#context, call, (options) => this.#context.origin.listVersions(bucket, query, options)),
    );
    return abortable(asking, signal);
  }
}
