/** The response document of a list of versions, with its elements in AWS's order. */
import {
  checksumElements,
  document,
  element,
  isoSeconds,
  nameWriter,
  OWNER,
  text,
  type NameWriter,
} from './list-document.ts';
import type { VersionItem, VersionListRequest, VersionPage } from './version-list.ts';

export function versionListDocument(request: VersionListRequest, { items, next }: VersionPage): string {
  const name = nameWriter(request);
  return document(
    'ListVersionsResult',
    text('Name', request.bucket),
    name('Prefix', request.prefix),
    name('KeyMarker', request.keyMarker),
    text('VersionIdMarker', request.versionIdMarker),
    next === undefined ? '' : name('NextKeyMarker', next.keyMarker),
    next === undefined || next.versionIdMarker === '' ? '' : text('NextVersionIdMarker', next.versionIdMarker),
    text('MaxKeys', request.maxKeys),
    request.delimiter === '' ? '' : name('Delimiter', request.delimiter),
    request.encodeNames ? text('EncodingType', 'url') : '',
    text('IsTruncated', next !== undefined),
    items.flatMap((item) => (item.kind === 'prefix' ? [] : [versionElement(item, name)])).join(''),
    items
      .flatMap((item) => (item.kind === 'prefix' ? [element('CommonPrefixes', name('Prefix', item.prefix))] : []))
      .join(''),
  );
}

function versionElement(item: Exclude<VersionItem, { readonly kind: 'prefix' }>, name: NameWriter): string {
  const about =
    name('Key', item.entry.key) +
    text('VersionId', item.versionId) +
    text('IsLatest', item.isLatest) +
    text('LastModified', isoSeconds(item.entry.lastModifiedMs));
  if (item.kind === 'delete_marker') return element('DeleteMarker', about + OWNER);
  const { entry } = item;
  return element(
    'Version',
    about +
      text('ETag', `"${entry.etag}"`) +
      checksumElements(entry) +
      text('Size', entry.sizeBytes) +
      text('StorageClass', entry.storageClass) +
      OWNER,
  );
}
