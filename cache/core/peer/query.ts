/**
 * Query strings between replicas: only known parameters, each once, each value in its canonical spelling. Error messages
 * do not repeat rejected text, which is not authenticated yet.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { MAX_VERSION_ID_BYTES } from '#cache/core/object.ts';
import { encodeRfc3986 } from '#cache/core/percent.ts';

const ORIGIN_ID = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const VERSION_FIELD = 'version_id';
/** A decimal number in canonical form, without leading zeros. */
export const INTEGER = /^(?:0|[1-9]\d{0,15})$/;
/** S3 keys have at most 1024 bytes; a configured prefix may add as many. */
export const MAX_KEY_BYTES = 2048;
/** Bucket and container names have at most 63 characters; legacy S3 bucket names up to 255. */
export const MAX_BUCKET_BYTES = 255;
/** Typical ETags have about 40 characters; this only bounds the header size. */
export const MAX_ETAG_BYTES = 1024;

/**
 * Only unreserved characters stay as they are: HTTP clients that parse URLs, such as `fetch`, encode `'` by themselves,
 * and the target would differ from the signed one. Throws `bad_request` for text that has no UTF-8 encoding.
 */
export function formatQuery(fields: readonly (readonly [string, string | number])[]): string {
  return fields.map(([name, value]) => `${name}=${encode(String(value), name)}`).join('&');
}

/** Throws `bad_request`. */
export function parseQuery(
  query: string,
  required: readonly string[],
  optional: readonly string[] = [],
): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const name = equals === -1 ? part : part.slice(0, equals);
    if (!required.includes(name) && !optional.includes(name)) throw refused('unknown parameter');
    if (fields.has(name)) throw refused(`${name} must be given only once`);
    fields.set(name, equals === -1 ? '' : decode(part.slice(equals + 1), name));
  }
  for (const name of required) if (!fields.has(name)) throw refused(`${name} is missing`);
  return fields;
}

/** The object that a query names. */
export function objectName(fields: ReadonlyMap<string, string>): {
  originId: string;
  bucket: string;
  key: string;
  versionId?: string;
} {
  const originId = text(fields, 'origin_id', 63);
  if (!ORIGIN_ID.test(originId)) throw refused('origin_id is malformed');
  return {
    originId,
    bucket: text(fields, 'bucket', MAX_BUCKET_BYTES),
    key: text(fields, 'key', MAX_KEY_BYTES),
    ...(fields.has(VERSION_FIELD) && { versionId: text(fields, VERSION_FIELD, MAX_VERSION_ID_BYTES) }),
  };
}

/**
 * Present only for a version that was requested by its ID. A replica of an older release rejects the request as one with
 * an unknown parameter, and the requester reads the origin itself.
 */
export function versionField(versionId: string | undefined): [string, string][] {
  return versionId === undefined ? [] : [[VERSION_FIELD, versionId]];
}

export function text(fields: ReadonlyMap<string, string>, name: string, maxBytes: number): string {
  const value = fields.get(name) ?? '';
  if (value === '') throw refused(`${name} is empty`);
  if (Buffer.byteLength(value, 'utf8') > maxBytes) throw refused(`${name} must be at most ${maxBytes} bytes`);
  return value;
}

export function integer(fields: ReadonlyMap<string, string>, name: string): number {
  const value = fields.get(name) ?? '';
  const number = Number(value);
  if (!INTEGER.test(value) || !Number.isSafeInteger(number)) throw refused(`${name} must be a decimal integer`);
  return number;
}

export function refused(message: string, cause?: unknown): OrcaError {
  return new OrcaError('bad_request', `peer request rejected: ${message}`, cause === undefined ? {} : { cause });
}

function encode(value: string, name: string): string {
  try {
    return encodeRfc3986(value);
  } catch (error) {
    throw refused(`${name} must be Unicode text, without lone surrogates`, error);
  }
}

function decode(value: string, name: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    throw refused(`${name} must be percent-encoded UTF-8`, error);
  }
}
