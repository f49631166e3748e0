/** Words for objects: versions, their headers, and half-open byte ranges. */

/** One immutable version of an origin object. Names are the origin's, the ETag is strong and unquoted. */
export interface ObjectVersion {
  readonly originId: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly sizeBytes: number;
}

/** What a HEAD of the origin says of an object. */
export interface ObjectHead {
  /** Strong and unquoted. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  /** Representation headers to hand through as they are, lower-case names: content-type, cache-control, x-amz-meta-*, … */
  readonly headers: Readonly<Record<string, string>>;
}

/** Bytes `[from, to)`. Half-open everywhere inside; inclusive only in HTTP headers. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** A part of an object, as it was uploaded. */
export interface ObjectPart {
  readonly range: ByteRange;
  /** How many there are; undefined of an object that was uploaded whole, or where the origin does not say. */
  readonly count: number | undefined;
}

export function rangeLength(range: ByteRange): number {
  return range.to - range.from;
}
