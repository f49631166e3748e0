/** Parses a page of List Blobs. A small parser for this one document is enough, because its texts contain no markup. Pure. */
import { OrcaError } from '#cache/core/errors.ts';

export interface ListedBlob {
  readonly name: string;
  /** Unquoted. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  readonly tier: string | undefined;
  readonly archiveStatus: string | undefined;
  /** `file` or `directory`, in accounts with a hierarchical namespace. */
  readonly resourceType: string | undefined;
  /** The metadata with which tools mark a blob as a directory. */
  readonly folderMark: string | undefined;
}

export interface BlobPage {
  readonly blobs: readonly ListedBlob[];
  /** Opaque; empty = the last page. */
  readonly nextMarker: string;
}

/** Undefined for a truncated document. */
export function parseBlobPage(xml: string): BlobPage | undefined {
  if (!/<\/EnumerationResults>\s*$/.test(xml)) return undefined;
  const blobs: ListedBlob[] = [];
  let at = 0;
  for (;;) {
    const start = xml.indexOf('<Blob>', at);
    if (start < 0) break;
    const end = xml.indexOf('</Blob>', start);
    if (end < 0) throw malformed('a blob without an end tag');
    blobs.push(blobOf(xml.slice(start, end)));
    at = end;
  }
  return { blobs, nextMarker: textOf(xml.slice(at), 'NextMarker') ?? '' };
}

function blobOf(xml: string): ListedBlob {
  const [head = '', metadata = ''] = xml.split('<Metadata>', 2);
  const sizeBytes = Number(textOf(head, 'Content-Length'));
  const etag = (textOf(head, 'Etag') ?? '').replaceAll('"', '');
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || etag === '')
    throw malformed('a blob without its length or ETag');
  const lastModifiedMs = Date.parse(textOf(head, 'Last-Modified') ?? '');
  return {
    name: nameOf(head),
    etag,
    sizeBytes,
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? 0 : lastModifiedMs,
    tier: textOf(head, 'AccessTier'),
    archiveStatus: textOf(head, 'ArchiveStatus'),
    resourceType: textOf(head, 'ResourceType'),
    folderMark: textOf(metadata, 'hdi_isfolder', 'i'),
  };
}

/** A name that XML cannot represent is percent-encoded, with an attribute. */
function nameOf(xml: string): string {
  const match = /<Name(?<encoded> Encoded="true")?>(?<text>[^<]*)<\/Name>/.exec(xml);
  const text = match?.groups?.['text'];
  if (text === undefined) throw malformed('a blob without a name');
  if (match?.groups?.['encoded'] === undefined) return decodeEntities(text);
  try {
    return decodeURIComponent(decodeEntities(text));
  } catch (error) {
    throw malformed('a name that is not percent-encoded', error);
  }
}

function textOf(xml: string, element: string, flags = ''): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`, flags).exec(xml)?.[1];
  return text === undefined ? undefined : decodeEntities(text);
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w{1,32}));/g,
    (_all, hex?: string, dec?: string, word = '') => {
      if (hex !== undefined) return codePoint(Number.parseInt(hex, 16));
      if (dec !== undefined) return codePoint(Number(dec));
      const char = ENTITIES.get(String(word));
      if (char === undefined) throw malformed('an unknown XML entity');
      return char;
    },
  );
}

function codePoint(code: number): string {
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (code > 0x10_ffff || isSurrogate) throw malformed('an invalid character');
  return String.fromCodePoint(code);
}

function malformed(what: string, cause?: unknown): OrcaError {
  return new OrcaError('origin_unavailable', `the origin's list contains ${what}`, { cause });
}
