/** The basic types: object versions, their metadata, and half-open byte ranges. */

/** One immutable version of an object. Bucket and key are those at the origin; the ETag is strong and unquoted. */
export interface ObjectVersion {
  readonly originId: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly sizeBytes: number;
  /**
   * How the origin finds it, if it may not be the current version. Not part of what identifies the bytes: versions with
   * the same content, and so the same ETag, share their chunks.
   */
  readonly versionId?: string | undefined;
}

/** The metadata that the origin reports for an object. */
export interface ObjectHead {
  /** Strong and unquoted. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  /** Headers passed to clients unchanged, by lower-case name: content-type, cache-control, x-amz-meta-*, … */
  readonly headers: Readonly<Record<string, string>>;
}

/** Bytes `[from, to)`. All ranges in the code are half-open; only HTTP headers use inclusive ends. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** S3's limit. */
export const MAX_VERSION_ID_BYTES = 1024;

/** One part of a multipart upload. */
export interface ObjectPart {
  readonly range: ByteRange;
  /** The object's number of parts; undefined if it was not a multipart upload, or the origin does not report it. */
  readonly count: number | undefined;
  /** The checksum headers that the origin reports for the part; undefined without any. */
  readonly checksums?: Readonly<Record<string, string>>;
}

export function rangeLength(range: ByteRange): number {
  return range.to - range.from;
}
