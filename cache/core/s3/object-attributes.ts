/** GetObjectAttributes: the request's header, and the response document from what HEAD reports. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import { document, element, text } from './list-document.ts';

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
export type ObjectAttribute = (typeof ATTRIBUTES)[number];

/** The element of each checksum, by the name of its header after `x-amz-checksum-`. */
const CHECKSUMS = [
  ['crc32', 'ChecksumCRC32'],
  ['crc32c', 'ChecksumCRC32C'],
  ['crc64nvme', 'ChecksumCRC64NVME'],
  ['sha1', 'ChecksumSHA1'],
  ['sha256', 'ChecksumSHA256'],
  ['type', 'ChecksumType'],
] as const;

/** `header` is x-amz-object-attributes. Throws `bad_request` or `invalid_argument`. */
export function requestedAttributes(header: string | undefined): ReadonlySet<ObjectAttribute> {
  const names = (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw new OrcaError(
      'bad_request',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    );
  const unknown = names.find((name) => !ATTRIBUTES.some((known) => known === name));
  if (unknown !== undefined)
    throw new OrcaError('invalid_argument', 'Invalid attribute name specified.', {
      fields: { ArgumentName: 'x-amz-object-attributes', ArgumentValue: unknown },
    });
  return new Set(names as ObjectAttribute[]);
}

/** Which parts a client wants: at most `maxParts` after the number `after`. */
export interface PartsPage {
  readonly after: number;
  readonly maxParts: number;
}

/** S3 returns up to 1000. Each may cost a request to the origin, and clients continue a page that is truncated. */
const MAX_PARTS = 100;

/** The headers x-amz-max-parts and x-amz-part-number-marker. Throws `invalid_argument`. */
export function requestedParts(maxParts: string | undefined, marker: string | undefined): PartsPage {
  const after = numberOf('x-amz-part-number-marker', marker, 0);
  return { after, maxParts: Math.min(numberOf('x-amz-max-parts', maxParts, MAX_PARTS), MAX_PARTS) };
}

function numberOf(name: string, text: string | undefined, missing: number): number {
  if (text === undefined || text === '') return missing;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new OrcaError('invalid_argument', `Argument ${name} must be an integer between 0 and 2147483647`, {
    fields: { ArgumentName: name, ArgumentValue: text },
  });
}

const CHECKSUM_TYPE = 'x-amz-checksum-type';

/** Whether each part has a checksum of its own, so that S3 names the parts: that of the object is one of these. */
export function hasPartChecksums({ headers }: Pick<ObjectHead, 'headers'>): boolean {
  const names = Object.keys(headers).filter((name) => name.startsWith('x-amz-checksum-') && name !== CHECKSUM_TYPE);
  if (names.length === 0) return false;
  return headers[CHECKSUM_TYPE] === 'COMPOSITE' || names.some((name) => /-\d+$/.test(headers[name] ?? ''));
}

export interface AttributePart {
  readonly number: number;
  readonly sizeBytes: number;
  /** By header. */
  readonly checksums: Readonly<Record<string, string>>;
}

export type ListedParts = PartsPage & { readonly parts: readonly AttributePart[] };

/**
 * `partsCount`: undefined for an object that was not uploaded in parts. `page`: undefined without the parts themselves.
 */
export function attributesDocument(
  wanted: ReadonlySet<ObjectAttribute>,
  { etag, sizeBytes, headers }: ObjectHead,
  partsCount: number | undefined,
  page?: ListedParts,
): string {
  const when = (name: ObjectAttribute, content: () => string): string => (wanted.has(name) ? content() : '');
  return document(
    'GetObjectAttributesResponse',
    when('ETag', () => text('ETag', etag)),
    when('Checksum', () => {
      const known = checksumElements(headers);
      return known === '' ? '' : element('Checksum', known);
    }),
    when('ObjectParts', () => (partsCount === undefined ? '' : partsElement(partsCount, page))),
    when('StorageClass', () => text('StorageClass', headers['x-amz-storage-class'] ?? 'STANDARD')),
    when('ObjectSize', () => text('ObjectSize', sizeBytes)),
  );
}

function checksumElements(headers: Readonly<Record<string, string>>): string {
  return CHECKSUMS.map(([name, tag]) => {
    const value = headers[`x-amz-checksum-${name}`];
    return value === undefined ? '' : text(tag, value);
  }).join('');
}

function partsElement(partsCount: number, page: ListedParts | undefined): string {
  const count = text('PartsCount', partsCount);
  if (page === undefined) return element('ObjectParts', count);
  const { after, maxParts, parts } = page;
  const last = parts.at(-1)?.number ?? after;
  const each = parts.map(({ number, sizeBytes, checksums }) => {
    const { [CHECKSUM_TYPE]: _type, ...own } = checksums;
    return element('Part', checksumElements(own) + text('PartNumber', number) + text('Size', sizeBytes));
  });
  return element(
    'ObjectParts',
    text('IsTruncated', last < partsCount) +
      text('MaxParts', maxParts) +
      text('NextPartNumberMarker', last) +
      text('PartNumberMarker', after) +
      each.join('') +
      count,
  );
}
