/** Formats and parses `GET /internal/head` and `POST /internal/invalidate`. */
import { createHash } from 'node:crypto';
import { formatQuery, integer, MAX_ETAG_BYTES, objectName, parseQuery, text, versionField } from './query.ts';

export const HEAD_PATH = '/internal/head';
export const INVALIDATE_PATH = '/internal/invalidate';

/** An object at the origin: its current version, whichever that is, or the one of an ID. */
export interface ObjectName {
  readonly originId: string;
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string | undefined;
}

export interface HeadQuery {
  readonly object: ObjectName;
  /** The maximum age of the metadata that the requester accepts. */
  readonly maxAgeMs: number;
}

/** The `etag` of an invalidation of every version. No store uses this text as an ETag. */
export const ANY_VERSION = '*';

export interface Invalidation {
  readonly object: ObjectName;
  /** The only version to invalidate, or `ANY_VERSION`. */
  readonly etag: string;
}

export function formatHeadTarget({ object, maxAgeMs }: HeadQuery): string {
  return `${HEAD_PATH}?${formatQuery([...nameFields(object), ['max_age_ms', Math.floor(maxAgeMs)]])}`;
}

/** `query` is the part after the `?`. Throws `bad_request`. */
export function parseHeadQuery(query: string): HeadQuery {
  const fields = parseQuery(query, ['origin_id', 'bucket', 'key', 'max_age_ms'], ['version_id']);
  return { object: objectName(fields), maxAgeMs: integer(fields, 'max_age_ms') };
}

export function formatInvalidateTarget({ object, etag }: Invalidation): string {
  return `${INVALIDATE_PATH}?${formatQuery([...nameFields(object), ['etag', etag]])}`;
}

/** Throws `bad_request`. */
export function parseInvalidateQuery(query: string): Invalidation {
  const fields = parseQuery(query, ['origin_id', 'bucket', 'key', 'etag'], ['version_id']);
  return { object: objectName(fields), etag: text(fields, 'etag', MAX_ETAG_BYTES) };
}

/** The hash that selects the coordinator of a key, or of a version of it, and names the key's manifest. */
export function objectHash({ bucket, key, versionId }: Omit<ObjectName, 'originId'>): string {
  const hash = createHash('sha256');
  for (const part of versionId === undefined ? [bucket, key] : [bucket, key, versionId]) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return hash.digest('hex');
}

/** `_orca/manifests/<originId>/<sha256(LP(bucket) LP(key))>`. */
export function manifestName(object: ObjectName): string {
  return `_orca/manifests/${object.originId}/${objectHash(object)}`;
}

function nameFields({ originId, bucket, key, versionId }: ObjectName): [string, string][] {
  return [['origin_id', originId], ['bucket', bucket], ['key', key], ...versionField(versionId)];
}
