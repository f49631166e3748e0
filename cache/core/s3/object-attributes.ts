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

/** `partsCount`: undefined for an object that was not uploaded in parts. */
export function attributesDocument(
  wanted: ReadonlySet<ObjectAttribute>,
  { etag, sizeBytes, headers }: ObjectHead,
  partsCount: number | undefined,
): string {
  const when = (name: ObjectAttribute, content: () => string): string => (wanted.has(name) ? content() : '');
  return document(
    'GetObjectAttributesResponse',
    when('ETag', () => text('ETag', etag)),
    when('Checksum', () => checksumElement(headers)),
    // S3 names the parts themselves only where each one has a checksum of its own, which a HEAD does not report.
    when('ObjectParts', () => (partsCount === undefined ? '' : element('ObjectParts', text('PartsCount', partsCount)))),
    when('StorageClass', () => text('StorageClass', headers['x-amz-storage-class'] ?? 'STANDARD')),
    when('ObjectSize', () => text('ObjectSize', sizeBytes)),
  );
}

function checksumElement(headers: Readonly<Record<string, string>>): string {
  const known = CHECKSUMS.map(([name, tag]) => {
    const value = headers[`x-amz-checksum-${name}`];
    return value === undefined ? '' : text(tag, value);
  }).join('');
  return known === '' ? '' : element('Checksum', known);
}
