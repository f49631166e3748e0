/**
 * Encodes and decodes object metadata, for messages between replicas and for manifests in the cachestore. Decoding is
 * strict, because a manifest may have been written by another version or by another program.
 */
import { isHeaderValue, isObjectHeader } from '#cache/core/object-headers.ts';
import type { ObjectHead } from '#cache/core/object.ts';

/** The metadata of an object, and when the origin reported it. */
export interface LearnedHead {
  readonly head: ObjectHead;
  readonly learnedMs: number;
}

const FORMAT = 1;
/** The field that marks a tombstone in the stored format. */
const DELETED_FIELD = 'gone';
/** The part of a strong ETag between its quotes. */
const ETAG = /^[\t\x20\x21\x23-\x7e\x80-\xff]+$/;
/** The maximum of a JavaScript Date. */
const MAX_TIME_MS = 8.64e15;

/** `name`: of the manifest, so that one that is stored under another manifest's name is not taken for it. */
export function encodeHead(known: LearnedHead, name?: string): string {
  return JSON.stringify({ format: FORMAT, name, learnedMs: known.learnedMs, ...known.head });
}

/**
 * The body of a response to `/internal/head`. It contains the age, since the proof of the response covers the body but
 * no headers; an age and not a time, because the clocks of replicas differ.
 */
export function encodeHeadAnswer(head: ObjectHead, ageMs: number): string {
  return JSON.stringify({ format: FORMAT, learnedMs: 0, ageMs, ...head });
}

/** `ageHeader`: X-Orca-Age-Ms, which counts only for a replica of an older release. Undefined for anything else. */
export function decodeHeadAnswer(
  text: string,
  ageHeader: string | undefined,
): { readonly head: ObjectHead; readonly ageMs: number } | undefined {
  const answer = decodeManifest(text);
  if (answer === undefined || answer.isDeleted) return undefined;
  const ageMs = parse(text)?.['ageMs'] ?? (ageHeader === undefined ? undefined : Number(ageHeader));
  return isCount(ageMs) ? { head: answer.head, ageMs } : undefined;
}

/** A manifest of an object that was found deleted at `learnedMs`. */
export function encodeTombstone(learnedMs: number, name?: string): string {
  return JSON.stringify({ format: FORMAT, name, learnedMs, [DELETED_FIELD]: true });
}

export type Manifest =
  | (LearnedHead & { readonly isDeleted: false })
  | { readonly isDeleted: true; readonly learnedMs: number };

/**
 * Undefined for anything that is not a head or a tombstone of this format, and for a manifest of another name. Manifests
 * of older releases have no name.
 */
export function decodeManifest(text: string, name?: string): Manifest | undefined {
  const value = parse(text);
  if (value?.['format'] !== FORMAT) return undefined;
  if (name !== undefined && value['name'] !== undefined && value['name'] !== name) return undefined;
  const { learnedMs, etag, sizeBytes, lastModifiedMs, headers } = value;
  if (!isCount(learnedMs)) return undefined;
  if (value[DELETED_FIELD] === true) return { isDeleted: true, learnedMs };
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
