/**
 * What one request did, for `logLevel: debug` and the access log. Without them no trace exists, and nothing is collected.
 */
import { chunkAt, chunkFields } from '#cache/core/chunk.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import type { LogFields } from '#shared/log.ts';

export class RequestTrace {
  readonly #sources = new Map<Source, number>();
  #result: ReadResult | undefined;
  #firstByteMs: number | undefined;

  /** The result of a read, before its first byte. */
  read(result: ReadResult, elapsedMs: number): void {
    this.#result = result;
    this.#firstByteMs = elapsedMs;
  }

  served(source: Source, lengthBytes: number): void {
    this.#sources.set(source, (this.#sources.get(source) ?? 0) + lengthBytes);
  }

  get objectSizeBytes(): number | undefined {
    return this.#result?.head.sizeBytes;
  }

  get versionId(): string | undefined {
    return this.#result?.head.headers['x-amz-version-id'];
  }

  get firstByteMs(): number | undefined {
    return this.#firstByteMs;
  }

  /** Body bytes of an object that were sent. */
  get bytes(): number {
    let sum = 0;
    for (const lengthBytes of this.#sources.values()) sum += lengthBytes;
    return sum;
  }

  get sources(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#sources);
  }

  /** How the answer is made up; nothing for a request that read no object. */
  fields(engine: Pick<Engine, 'coordinators'>): LogFields {
    const result = this.#result;
    if (result === undefined) return {};
    const { object, range, chunkSizeBytes, ageMs } = result;
    const common = { range: [range.from, range.to], ageMs, firstByteMs: round(this.#firstByteMs) };
    if (result.source === undefined) return common;
    const { first, count, coordinators } = engine.coordinators(result);
    return {
      ...common,
      bytes: this.bytes,
      sources: this.sources,
      chunk: chunkFields(chunkAt(object, chunkSizeBytes, first)),
      chunks: { first, count, sizeBytes: chunkSizeBytes },
      coordinator: coordinators,
    };
  }
}

/** Microseconds are enough. */
function round(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000;
}
