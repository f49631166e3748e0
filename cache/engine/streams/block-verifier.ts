/**
 * Checks a stored chunk's bytes against its block CRCs as they arrive. A block that the range covers whole is held back
 * until its CRC is verified; partial blocks at the two ends cannot be verified, and pass.
 */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { crc32 } from '#cache/core/crc32.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';

export class BlockVerifier {
  readonly #metadata: ChunkMetadata;
  readonly #range: ByteRange;
  #at: number;
  #crc = 0;

  constructor(metadata: ChunkMetadata, range: ByteRange) {
    this.#metadata = metadata;
    this.#range = range;
    this.#at = range.from;
  }

  /** Takes the next bytes; returns the offset in the chunk up to which readers may have them. Throws `chunk_bad`. */
  take(bytes: Uint8Array): number {
    const { blockSizeBytes, lengthBytes, blockCrcs } = this.#metadata;
    for (let used = 0; used < bytes.length;) {
      const block = Math.floor(this.#at / blockSizeBytes);
      const end = Math.min((block + 1) * blockSizeBytes, lengthBytes);
      const length = Math.min(bytes.length - used, end - this.#at);
      if (this.#covers(block)) {
        this.#crc = crc32(bytes.subarray(used, used + length), this.#crc);
        if (this.#at + length === end) {
          if (this.#crc !== blockCrcs[block]) throw new OrcaError('chunk_bad', `block ${block} has another CRC-32`);
          this.#crc = 0;
        }
      }
      this.#at += length;
      used += length;
    }
    return this.#releasable();
  }

  #covers(block: number): boolean {
    const { blockSizeBytes, lengthBytes } = this.#metadata;
    const start = block * blockSizeBytes;
    return start >= this.#range.from && Math.min(start + blockSizeBytes, lengthBytes) <= this.#range.to;
  }

  #releasable(): number {
    // The last block may be short or partial: in both cases there is nothing left to wait for.
    if (this.#at === this.#range.to) return this.#at;
    const { blockSizeBytes } = this.#metadata;
    const block = Math.floor(this.#at / blockSizeBytes);
    return this.#covers(block) ? block * blockSizeBytes : this.#at;
  }
}
