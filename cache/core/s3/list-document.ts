/**
 * The response documents of S3's list calls. Elements are in AWS's order, because some clients parse them as text.
 * Characters that XML 1.0 does not allow become character references; clients can request percent-encoding instead.
 */
import { encodePath } from '#cache/core/percent.ts';
import { encodeToken } from './continuation-token.ts';
import type { ListRequest, ListRequestV1, ListRequestV2 } from './list-request.ts';
import { nameOf, type ListPage, type ObjectEntry } from './listing.ts';
import { escapeXml } from './xml.ts';

const PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
/** The cache has no accounts, but some clients require an owner. */
export const OWNER = element('Owner', element('ID', 'orcacache') + element('DisplayName', 'orcacache'));

export function listDocument(request: ListRequest, page: ListPage): string {
  return request.version === 2 ? v2(request, page) : v1(request, page);
}

function v2(request: ListRequestV2, page: ListPage): string {
  const last = page.items.at(-1);
  const next = page.truncated && last !== undefined ? encodeToken(request, nameOf(last)) : undefined;
  const name = nameWriter(request);
  return document(
    'ListBucketResult',
    text('Name', request.bucket),
    name('Prefix', request.prefix),
    optional(request.startAfter, (value) => name('StartAfter', value)),
    optional(request.token, (value) => text('ContinuationToken', value)),
    optional(next, (value) => text('NextContinuationToken', value)),
    text('KeyCount', page.items.length),
    text('MaxKeys', request.maxKeys),
    request.delimiter === '' ? '' : name('Delimiter', request.delimiter),
    request.encodeNames ? text('EncodingType', 'url') : '',
    text('IsTruncated', page.truncated),
    contents(request, page, request.fetchOwner),
  );
}

function v1(request: ListRequestV1, page: ListPage): string {
  const last = page.items.at(-1);
  const name = nameWriter(request);
  return document(
    'ListBucketResult',
    text('Name', request.bucket),
    name('Prefix', request.prefix),
    name('Marker', request.after),
    // Without a delimiter there is no NextMarker: clients continue after the last key.
    page.truncated && request.delimiter !== '' && last !== undefined ? name('NextMarker', nameOf(last)) : '',
    text('MaxKeys', request.maxKeys),
    request.delimiter === '' ? '' : name('Delimiter', request.delimiter),
    request.encodeNames ? text('EncodingType', 'url') : '',
    text('IsTruncated', page.truncated),
    contents(request, page, true),
  );
}

function contents(request: ListRequest, page: ListPage, withOwner: boolean): string {
  const name = nameWriter(request);
  const withRestore = request.version === 2 && request.withRestore;
  const objects: string[] = [];
  const prefixes: string[] = [];
  for (const item of page.items) {
    if (item.kind === 'prefix') prefixes.push(element('CommonPrefixes', name('Prefix', item.prefix)));
    else objects.push(objectElement(item.entry, name, withOwner, withRestore));
  }
  return objects.join('') + prefixes.join('');
}

function objectElement(entry: ObjectEntry, name: NameWriter, withOwner: boolean, withRestore: boolean): string {
  return element(
    'Contents',
    name('Key', entry.key) +
      text('LastModified', isoSeconds(entry.lastModifiedMs)) +
      text('ETag', `"${entry.etag}"`) +
      checksumElements(entry) +
      text('Size', entry.sizeBytes) +
      (withOwner ? OWNER : '') +
      (withRestore && entry.restore !== undefined ? restoreElement(entry.restore) : '') +
      text('StorageClass', entry.storageClass),
  );
}

export function checksumElements({ checksums }: ObjectEntry): string {
  if (checksums === undefined) return '';
  const algorithms = checksums.algorithms.map((algorithm) => text('ChecksumAlgorithm', algorithm));
  return algorithms.join('') + optional(checksums.type, (type) => text('ChecksumType', type));
}

function restoreElement(header: string): string {
  const running = header.includes('ongoing-request="true"');
  const expiry = /expiry-date="([^"]+)"/.exec(header)?.[1];
  const expiryMs = expiry === undefined ? Number.NaN : Date.parse(expiry);
  const until = Number.isNaN(expiryMs) ? '' : text('RestoreExpiryDate', isoSeconds(expiryMs));
  return element('RestoreStatus', text('IsRestoreInProgress', running) + until);
}

/** An entry of ListBuckets. The creation date is a placeholder, which clients require. */
export interface BucketEntry {
  readonly name: string;
  readonly createdMs: number;
}

export function bucketsDocument(
  buckets: readonly BucketEntry[],
  more: { readonly prefix: string; readonly region: string; readonly nextToken: string | undefined },
): string {
  const each = buckets.map(({ name, createdMs }) =>
    element(
      'Bucket',
      text('Name', name) + text('CreationDate', isoSeconds(createdMs)) + text('BucketRegion', more.region),
    ),
  );
  return document(
    'ListAllMyBucketsResult',
    OWNER,
    element('Buckets', each.join('')),
    optional(more.nextToken, (value) => text('ContinuationToken', value)),
    more.prefix === '' ? '' : text('Prefix', more.prefix),
  );
}

/** AWS returns an empty location for us-east-1. */
export function locationDocument(region: string): string {
  return document('LocationConstraint', region === 'us-east-1' ? '' : escapeXml(region));
}

export function document(name: string, ...content: readonly string[]): string {
  return `${PROLOG}<${name} xmlns="${NAMESPACE}">${content.join('')}</${name}>`;
}

export function element(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

export function text(name: string, value: string | number | boolean): string {
  return element(name, escapeXml(String(value)));
}

export type NameWriter = (element: string, value: string) => string;

export function nameWriter({ encodeNames }: Pick<ListRequest, 'encodeNames'>): NameWriter {
  // A space becomes `%20`, which every decoder accepts, unlike `+`.
  return (tag, value) => text(tag, encodeNames ? encodePath(value.toWellFormed()) : value);
}

/** Whole seconds, the resolution of Last-Modified: clients compare the two. */
export function isoSeconds(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, -5)}.000Z`;
}

function optional(value: string | undefined, write: (value: string) => string): string {
  return value === undefined ? '' : write(value);
}
