/**
 * The CRCs of a chunk, computed while it is filled: each block's over the contiguous bytes so far, the whole chunk's by
 * combining those. A pass at the end would block the event loop: 20 ms for 128 MiB at 6.8 GB/s.
 */
import { blockSizeFor, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { chunkIdentity, type Chunk } from '#cache/core/chunk.ts';
import { combineCrc32, crc32 } from '#cache/core/crc32.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';

export class ChunkHasher {
  readonly #chunk: Chunk;
  readonly #blockSizeBytes: number;
  readonly #blocks: number[] = [];
  #whole = 0;
  #current = 0;
  #at = 0;

  constructor(chunk: Chunk) {
    this.#chunk = chunk;
    this.#blockSizeBytes = blockSizeFor(chunk.chunkSizeBytes);
  }

  /** Hashes up to `to`; all bytes before it have arrived. */
  advance(bytes: ChunkBytes, to: number): void {
    while (this.#at < to) {
      const blockStart = this.#blocks.length * this.#blockSizeBytes;
      const blockEnd = Math.min(blockStart + this.#blockSizeBytes, this.#chunk.lengthBytes);
      const view = bytes.view(this.#at, Math.min(to, blockEnd));
      this.#current = crc32(view, this.#current);
      this.#at += view.length;
      if (this.#at === blockEnd) {
        this.#whole = combineCrc32(this.#whole, this.#current, blockEnd - blockStart);
        this.#blocks.push(this.#current);
        this.#current = 0;
      }
    }
  }

  finish(): ChunkMetadata {
    const { lengthBytes, object, path } = this.#chunk;
    if (this.#at !== lengthBytes)
      throw new OrcaError('internal', `chunk ${path} has ${this.#at} of ${lengthBytes} bytes at its commit`);
    return {
      lengthBytes,
      etag: object.etag,
      identity: chunkIdentity(this.#chunk),
      crc32: this.#whole,
      blockSizeBytes: this.#blockSizeBytes,
      blockCrcs: Uint32Array.from(this.#blocks),
    };
  }
}
