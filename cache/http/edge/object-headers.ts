/**
 * The headers of an object's response, as name and value in turn: Node writes such a list without looking for names twice.
 * What depends on the version only is computed once for each.
 */
import { rangeLength, type ObjectHead } from '#cache/core/object.ts';
import { contentRange } from '#cache/core/range.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import { commonHeaders, type CacheStatus } from './call.ts';

/** S3's default. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';
const CHECKSUM_PREFIX = 'x-amz-checksum-';

export interface HeaderOptions {
  readonly requestId: string;
  readonly cache: CacheStatus;
  /** Of `response-…` parameters, by lower-case name. */
  readonly overrides: Readonly<Record<string, string>>;
  /** The client verifies checksums. */
  readonly withChecksum: boolean;
}

export function objectHeaders(result: ReadResult, options: HeaderOptions): string[] {
  const { head, status, range, ageMs } = result;
  const { cache, requestId } = options;
  const own = status === 304 ? notModified(head, options.overrides) : ofVersion(result, options);
  const headers = [...commonHeaders(requestId), ...own, 'Age', String(Math.floor(ageMs / 1000))];
  if (status === 304) return headers;
  if (cache !== 'NONE') headers.push('X-Cache', cache);
  headers.push('Content-Length', String(rangeLength(range)));
  // An empty object has no range to describe.
  if (status === 206 && head.sizeBytes > 0) headers.push('Content-Range', contentRange(range, head.sizeBytes));
  return headers;
}

/** By head, the headers without checksums and overrides. */
const plainHeaders = new WeakMap<ObjectHead, readonly string[]>();

function ofVersion(result: ReadResult, { overrides, withChecksum }: HeaderOptions): readonly string[] {
  const { head, status, partChecksums } = result;
  if (withChecksum || !isEmpty(overrides)) {
    // Checksums cover the whole object: an SDK would verify a part against them, and fail.
    const checksums = withChecksum && status === 200 ? checksumsOf(head) : {};
    return listOf(head, { ...withoutChecksums(head), ...overrides, ...checksums, ...(withChecksum && partChecksums) });
  }
  const known = plainHeaders.get(head);
  if (known !== undefined) return known;
  const headers = listOf(head, withoutChecksums(head));
  plainHeaders.set(head, headers);
  return headers;
}

function listOf(head: ObjectHead, own: Readonly<Record<string, string>>): string[] {
  return Object.entries({
    'content-type': DEFAULT_CONTENT_TYPE,
    ...own,
    ETag: `"${head.etag}"`,
    'Last-Modified': new Date(head.lastModifiedMs).toUTCString(),
    'Accept-Ranges': 'bytes',
  }).flat();
}

/** RFC 9110 §15.4.5: a 304 repeats the validators and nothing that describes a body. */
function notModified(head: ObjectHead, overrides: Readonly<Record<string, string>>): string[] {
  const own = { ...head.headers, ...overrides };
  const headers = ['ETag', `"${head.etag}"`, 'Last-Modified', new Date(head.lastModifiedMs).toUTCString()];
  for (const name of ['cache-control', 'expires']) {
    const value = own[name];
    if (value !== undefined) headers.push(name, value);
  }
  return headers;
}

function checksumsOf({ headers }: ObjectHead): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(CHECKSUM_PREFIX)));
}

function withoutChecksums({ headers }: ObjectHead): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(CHECKSUM_PREFIX)));
}

function isEmpty(record: Readonly<Record<string, string>>): boolean {
  for (const _ in record) return false;
  return true;
}
