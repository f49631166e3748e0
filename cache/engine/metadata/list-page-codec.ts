/**
 * The stored form of a page of a list: compressed JSON. Decoding is strict and bounded, because the object may have been
 * written by another version or by another program.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ListItem, ListPage, ObjectEntry } from '#cache/core/s3/listing.ts';

const FORMAT = 1;
/** A page of 1000 keys of 1 KiB each, escaped at worst, is below it. */
const MAX_DECODED_BYTES = 8 * 1024 * 1024;
/** The maximum of a JavaScript Date. */
const MAX_TIME_MS = 8.64e15;

export interface StoredList {
  /** Which page it is: several pages may share a place in the cachestore. */
  readonly name: string;
  /** A date, which all replicas share. */
  readonly learnedMs: number;
  /** Whether the page was requested more than once: then it has precedence in a shared place. */
  readonly isRepeated: boolean;
  /** Undefined = since then the origin has refused the page. */
  readonly page: ListPage | undefined;
}

/** An item in the stored form: a common prefix, or the fields of an object in order. */
type StoredItem =
  | string
  | readonly [
      key: string,
      etag: string,
      sizeBytes: number,
      lastModifiedMs: number,
      storageClass: string,
      restore: string | null,
      algorithms: readonly string[] | null,
      checksumType: string | null,
    ];

export function encodeStoredList({ name, learnedMs, isRepeated, page }: StoredList): Uint8Array {
  const content = page && { truncated: page.truncated, items: page.items.map(toStored) };
  return zstdCompressSync(JSON.stringify({ format: FORMAT, name, learnedMs, isRepeated, ...content }));
}

/** Undefined for anything that is not a page of this format. */
export function decodeStoredList(bytes: Uint8Array): StoredList | undefined {
  const value = parse(bytes);
  if (value?.['format'] !== FORMAT) return undefined;
  const { name, learnedMs, isRepeated, truncated, items } = value;
  if (typeof name !== 'string' || !isCount(learnedMs) || typeof isRepeated !== 'boolean') return undefined;
  if (items === undefined) return { name, learnedMs, isRepeated, page: undefined };
  if (typeof truncated !== 'boolean' || !Array.isArray(items)) return undefined;
  const decoded = items.map(fromStored);
  if (!decoded.every((item) => item !== undefined)) return undefined;
  return { name, learnedMs, isRepeated, page: { items: decoded, truncated } };
}

function toStored(item: ListItem): StoredItem {
  if (item.kind === 'prefix') return item.prefix;
  const { key, etag, sizeBytes, lastModifiedMs, storageClass, restore, checksums } = item.entry;
  return [
    key,
    etag,
    sizeBytes,
    lastModifiedMs,
    storageClass,
    restore ?? null,
    checksums?.algorithms ?? null,
    checksums?.type ?? null,
  ];
}

function fromStored(item: unknown): ListItem | undefined {
  if (typeof item === 'string') return { kind: 'prefix', prefix: item };
  if (!Array.isArray(item)) return undefined;
  const [key, etag, sizeBytes, lastModifiedMs, storageClass, restore, algorithms, type] = item as unknown[];
  if (typeof key !== 'string' || typeof etag !== 'string' || typeof storageClass !== 'string') return undefined;
  if (!isCount(sizeBytes) || typeof lastModifiedMs !== 'number' || Math.abs(lastModifiedMs) > MAX_TIME_MS)
    return undefined;
  if (!isTextOrNull(restore) || !isTextOrNull(type)) return undefined;
  if (algorithms !== null && !isTexts(algorithms)) return undefined;
  const entry: ObjectEntry = {
    key,
    etag,
    sizeBytes,
    lastModifiedMs,
    storageClass,
    restore: restore ?? undefined,
    checksums: algorithms === null ? undefined : { algorithms, type: type ?? undefined },
  };
  return { kind: 'object', entry };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(
      zstdDecompressSync(bytes, { maxOutputLength: MAX_DECODED_BYTES }).toString('utf8'),
    );
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Not compressed, too large, or not JSON: another program's object.
    return undefined;
  }
}
