/** Parses a page of List Blobs. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { blobNameOf } from '#cache/wire/azure/blob-name.ts';
import { childOf, parseXmlOf, requiredText, textOf, XmlError, type XmlElement } from '#cache/wire/xml.ts';

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

/** Undefined for a truncated document. Throws origin_unavailable for one that is malformed. */
export function parseBlobPage(xml: string): BlobPage | undefined {
  if (!/<\/EnumerationResults>\s*$/.test(xml)) return undefined;
  try {
    const root = parseXmlOf('EnumerationResults', xml);
    const blobs = childOf(root, 'Blobs');
    if (blobs === undefined) throw new XmlError('no Blobs in it');
    return {
      blobs: blobs.children.filter(({ name }) => name === 'Blob').map(blobOf),
      nextMarker: requiredText(root, 'NextMarker'),
    };
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw new OrcaError('origin_unavailable', `the origin's list is malformed: ${cause.message}`, { cause });
  }
}

function blobOf(blob: XmlElement): ListedBlob {
  const [name, properties, metadata] = [childOf(blob, 'Name'), childOf(blob, 'Properties'), childOf(blob, 'Metadata')];
  if (name === undefined || properties === undefined) throw new XmlError('a blob without its name or properties');
  const sizeBytes = Number(requiredText(properties, 'Content-Length'));
  const etag = requiredText(properties, 'Etag').replaceAll('"', '');
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || etag === '')
    throw new XmlError('a blob without its length or ETag');
  const lastModifiedMs = Date.parse(textOf(properties, 'Last-Modified') ?? '');
  return {
    name: blobNameOf(name),
    etag,
    sizeBytes,
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? 0 : lastModifiedMs,
    tier: textOf(properties, 'AccessTier'),
    archiveStatus: textOf(properties, 'ArchiveStatus'),
    resourceType: textOf(properties, 'ResourceType'),
    // Tools write it in different cases.
    folderMark: metadata?.children.find((child) => child.name.toLowerCase() === 'hdi_isfolder')?.text,
  };
}
