/**
 * Chunk identity and arithmetic. The path of a chunk is compatible with the original Orca (the cache in Go whose chunk
 * names this project uses), so that a cachestore filled by it yields hits. Tests compare paths with golden vectors.
 */
import { hash } from 'node:crypto';
import type { ByteRange, ObjectVersion } from './object.ts';

export type ChunkPath = string & { readonly __brand: 'ChunkPath' };

/** One chunk of one object version: the unit of a fill and of a commit. */
export interface Chunk {
  readonly path: ChunkPath;
  readonly object: ObjectVersion;
  /** The configured size of the object's chunks; the last chunk is shorter. */
  readonly chunkSizeBytes: number;
  readonly index: number;
  /** The chunk's position in the object. */
  readonly range: ByteRange;
  readonly lengthBytes: number;
}

/** Objects of at least `minObjectSizeBytes` use chunks of `chunkSizeBytes`. */
export interface ChunkTier {
  readonly minObjectSizeBytes: number;
  readonly chunkSizeBytes: number;
}

export function chunkSizeFor(sizeBytes: number, baseSizeBytes: number, tiers: readonly ChunkTier[]): number {
  let size = baseSizeBytes;
  for (const tier of tiers) if (sizeBytes >= tier.minObjectSizeBytes) size = tier.chunkSizeBytes;
  return size;
}

/**
 * `<origin_id>/<hex sha256( LP(origin_id) LP(bucket) LP(key) LP(etag) LE64(chunk_size) )>/`; LP(x) is the length of x as
 * LE64, then x in UTF-8. A chunk's index is appended, so that all chunks of a read share one hash.
 */
export function chunkPathPrefix(object: Omit<ObjectVersion, 'sizeBytes'>, chunkSizeBytes: number): string {
  const { originId, bucket, key, etag } = object;
  const input = Buffer.allocUnsafe(5 * LENGTH_BYTES + 3 * (originId.length + bucket.length + key.length + etag.length));
  let at = 0;
  for (const part of [originId, bucket, key, etag]) {
    const lengthBytes = input.write(part, at + LENGTH_BYTES, 'utf8');
    writeLe64(input, lengthBytes, at);
    at += LENGTH_BYTES + lengthBytes;
  }
  writeLe64(input, chunkSizeBytes, at);
  return `${originId}/${hash('sha256', input.subarray(0, at + LENGTH_BYTES), 'hex')}/`;
}

/**
 * Chunk `index` of an object. Throws RangeError if the object has no such chunk. Pass `prefix` to hash only once for
 * several chunks of an object.
 */
export function chunkAt(
  object: ObjectVersion,
  chunkSizeBytes: number,
  index: number,
  prefix = chunkPathPrefix(object, chunkSizeBytes),
): Chunk {
  const from = index * chunkSizeBytes;
  if (!Number.isSafeInteger(index) || index < 0 || from >= object.sizeBytes)
    throw new RangeError(
      `chunk ${index} is outside an object of ${object.sizeBytes} bytes in chunks of ${chunkSizeBytes}`,
    );
  const to = Math.min(from + chunkSizeBytes, object.sizeBytes);
  const path = `${prefix}${index}` as ChunkPath;
  return { path, object, chunkSizeBytes, index, range: { from, to }, lengthBytes: to - from };
}

/**
 * `<hash>/<index>` of the chunk's path. The hash covers the origin's ID too, so that the path's first part adds nothing.
 */
export function chunkIdentity({ path }: Pick<Chunk, 'path'>): string {
  return path.slice(path.indexOf('/') + 1);
}

/** The chunk in log lines: the origin's names of its object, and where it is in the cachestore. */
export function chunkFields({ object, index, path }: Pick<Chunk, 'object' | 'index' | 'path'>) {
  const { originId, bucket, key } = object;
  return { originId, bucket, key, index, path };
}

/** The part of one chunk that a read needs: `[from, to)` is relative to the start of the chunk. */
export interface ChunkSlice extends ByteRange {
  readonly index: number;
}

/** The number of slices that cover `range`. */
export function sliceCount(range: ByteRange, chunkSizeBytes: number): number {
  if (range.to <= range.from) return 0;
  return Math.floor((range.to - 1) / chunkSizeBytes) - Math.floor(range.from / chunkSizeBytes) + 1;
}

/** Slice `number` of `sliceCount` slices, in order, computed without a list of them. */
export function sliceAt(range: ByteRange, chunkSizeBytes: number, number: number): ChunkSlice {
  const index = Math.floor(range.from / chunkSizeBytes) + number;
  const start = index * chunkSizeBytes;
  return { index, from: Math.max(range.from - start, 0), to: Math.min(range.to - start, chunkSizeBytes) };
}

const LENGTH_BYTES = 8;

/** Writes a safe integer as two 32-bit halves, which avoids the cost of a BigInt. */
function writeLe64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % 2 ** 32, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}
