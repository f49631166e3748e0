/**
 * What is known of an object, as text: between replicas and in manifests. Only what parses strictly is believed; a
 * manifest may have been written by another version, or by nobody we know.
 */
import { isHeaderValue, isObjectHeader } from '#cache/core/object-headers.ts';
import type { ObjectHead } from '#cache/core/object.ts';

/** A head and when the origin said it. */
export interface LearnedHead {
  readonly head: ObjectHead;
  readonly learnedMs: number;
}

const FORMAT = 1;
/** What stands between the quotes of a strong one. */
const ETAG = /^[\t\x20\x21\x23-\x7e\x80-\xff]+$/;
/** Dates end there. */
const MAX_TIME_MS = 8.64e15;

export function encodeHead(known: LearnedHead): string {
  return JSON.stringify({ format: FORMAT, learnedMs: known.learnedMs, ...known.head });
}

/** A manifest of an object that was found deleted at `learnedMs`. */
export function encodeTombstone(learnedMs: number): string {
  return JSON.stringify({ format: FORMAT, learnedMs, gone: true });
}

export type Manifest =
  | (LearnedHead & { readonly isDeleted: false })
  | { readonly isDeleted: true; readonly learnedMs: number };

/** Undefined for anything that is not a head or a tombstone of this format. */
export function decodeManifest(text: string): Manifest | undefined {
  const value = parse(text);
  if (value?.['format'] !== FORMAT) return undefined;
  const { learnedMs, gone, etag, sizeBytes, lastModifiedMs, headers } = value;
  if (!isCount(learnedMs)) return undefined;
  if (gone === true) return { isDeleted: true, learnedMs };
  if (
    typeof etag !== 'string' ||
    !ETAG.test(etag) ||
    !isCount(sizeBytes) ||
    !isTime(lastModifiedMs) ||
    !isRecord(headers)
  )
    return undefined;
  const texts: Record<string, string> = {};
  for (const [name, text] of Object.entries(headers)) {
    if (typeof text !== 'string' || !isHeaderValue(text)) return undefined;
    // Headers of the connection are not taken from the cachestore, which others may write to.
    if (isObjectHeader(name)) texts[name] = text;
  }
  return { isDeleted: false, learnedMs, head: { etag, sizeBytes, lastModifiedMs, headers: texts } };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= MAX_TIME_MS;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
