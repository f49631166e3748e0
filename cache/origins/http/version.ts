/**
 * What identifies a version of a file on an HTTP server: its strong ETag; if allowed, its Last-Modified and size; or what
 * a hub reports about a file that another host serves. Pure.
 */
import { parseHttpDate } from '#cache/core/http-date.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange, strongEtag } from '#cache/wire/s3/client.ts';

/**
 * Last-Modified in seconds and size, in hexadecimal: the same on every replica, and reversible, so that a read can send
 * the date as its condition. Weaker than an ETag: two changes within one second that keep the size look the same. The
 * dashes keep clients from taking it for an MD5.
 */
const BY_DATE = /^lm-([0-9a-f]{1,10})-([0-9a-f]{1,14})$/;

/** The version of a `200` or `206`; undefined if the response does not identify one. */
export function versionOf(status: number, headers: ResponseHeaders, allowLastModified: boolean): string | undefined {
  return strongEtag(headers) ?? (allowLastModified ? versionByDate(status, headers) : undefined);
}

/** The version of a `200` or `206`, by the same kind of validator as `expected`. */
export function versionLike(expected: string, status: number, headers: ResponseHeaders): string | undefined {
  const etag = strongEtag(headers);
  return etag !== expected && BY_DATE.test(expected) ? versionByDate(status, headers) : etag;
}

function versionByDate(status: number, headers: ResponseHeaders): string | undefined {
  const modifiedMs = parseHttpDate(headers['last-modified'] ?? '');
  const total = status === 206 ? contentRange(headers)?.totalBytes : sizeIn(headers['content-length']);
  if (modifiedMs === undefined || modifiedMs < 0 || total === undefined) return undefined;
  return `lm-${Math.floor(modifiedMs / 1000).toString(16)}-${total.toString(16)}`;
}

/** The precondition of a read of exactly that version. */
export function conditionOf(version: string): Readonly<Record<string, string>> {
  const seconds = BY_DATE.exec(version)?.[1];
  if (seconds === undefined) return { 'if-match': `"${version}"` };
  return { 'if-unmodified-since': new Date(Number.parseInt(seconds, 16) * 1000).toUTCString() };
}

export interface LinkedVersion {
  readonly etag: string;
  readonly sizeBytes: number;
}

/**
 * Hugging Face hubs redirect to a CDN whose signed URLs contain the hash of the content, and report that hash and the
 * size with the redirect (`get_hf_file_metadata` of huggingface_hub reads the same headers). The CDN has another ETag.
 * Undefined without both headers.
 */
export function linkedVersion(headers: ResponseHeaders): LinkedVersion | undefined {
  const etag = strongEtag({ etag: headers['x-linked-etag'] ?? '' });
  const sizeBytes = sizeIn(headers['x-linked-size']);
  return etag === undefined || sizeBytes === undefined ? undefined : { etag, sizeBytes };
}

function sizeIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
