/** An origin with one object of any size, whose bytes are computed, and which counts what is read of it. */
import type { ChunkTier } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { cancelledBy, copyInto } from '#cache/wire/http1/sink.ts';
import { MIB, patternBytes } from './engines.ts';

export interface SyntheticObject {
  /** For `openEngines`. */
  readonly options: {
    readonly originSeen: (origin: Origin) => Origin;
    readonly tiers: readonly ChunkTier[];
    readonly chunkBytes: number;
  };
  readonly sizeBytes: number;
  readonly reads: readonly ByteRange[];
  /** The sum over all reads. */
  readBytes(): number;
  bytesAt(from: number, length: number): Buffer;
}

/** Its bytes repeat with a period that is no multiple of a block. */
const PERIOD = patternBytes(1_000_003);
const TWICE = Buffer.concat([PERIOD, PERIOD]);

export function syntheticObject(sizeBytes: number, tiers: readonly ChunkTier[] = []): SyntheticObject {
  const etag = `synthetic-${sizeBytes}`;
  const reads: ByteRange[] = [];
  const bytesAt = (from: number, length: number): Buffer => {
    const start = from % PERIOD.length;
    if (start + length <= TWICE.length) return TWICE.subarray(start, start + length);
    const copies = Array.from({ length: Math.ceil((start + length) / PERIOD.length) }, () => PERIOD);
    return Buffer.concat(copies).subarray(start, start + length);
  };
  const originSeen = (origin: Origin): Origin => ({
    ...origin,
    head: async () => ({ etag, sizeBytes, lastModifiedMs: 0, headers: {} }),
    async read(object, range, sink, { signal }) {
      if (object.etag !== etag)
        throw new OrcaError('object_changed', `the ETag is not ${object.etag}`, { status: 412 });
      reads.push(range);
      for (let at = range.from; at < range.to;) {
        if (signal.aborted) throw cancelledBy(signal);
        const bytes = bytesAt(at, Math.min(MIB / 2, range.to - at));
        await copyInto(sink, bytes, signal);
        at += bytes.length;
      }
    },
  });
  return {
    options: { originSeen, tiers, chunkBytes: 8 * MIB },
    sizeBytes,
    reads,
    readBytes: () => reads.reduce((sum, { from, to }) => sum + to - from, 0),
    bytesAt,
  };
}
