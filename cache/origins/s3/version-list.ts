/** Lists of versions between the engine's form and that of the AWS SDK. Pure. */
import type * as Sdk from '@aws-sdk/client-s3';
import { OrcaError } from '#cache/core/errors.ts';
import { compareVersions, type VersionItem, type VersionPage, type VersionQuery } from '#cache/core/s3/version-list.ts';
import { nameDecoder } from './encoded-names.ts';

export function versionsInput(bucket: string, query: VersionQuery): Sdk.ListObjectVersionsCommandInput {
  const { prefix, delimiter, keyMarker, versionIdMarker, maxKeys } = query;
  return {
    Bucket: bucket,
    EncodingType: 'url',
    MaxKeys: maxKeys,
    ...(prefix !== '' && { Prefix: prefix }),
    ...(delimiter !== '' && { Delimiter: delimiter }),
    ...(keyMarker !== '' && { KeyMarker: keyMarker }),
    ...(versionIdMarker !== '' && { VersionIdMarker: versionIdMarker }),
  };
}

export function versionPageOf(query: VersionQuery, page: Sdk.ListObjectVersionsCommandOutput): VersionPage {
  const decode = nameDecoder(page.EncodingType);
  const items = [
    ...(page.Versions ?? []).map((version) => versionItem(version, decode)),
    ...(page.DeleteMarkers ?? []).map((marker) => markerItem(marker, decode)),
    ...(page.CommonPrefixes ?? []).map(({ Prefix }): VersionItem => ({ kind: 'prefix', prefix: decode(Prefix) })),
  ]
    // Some origins repeat the delete marker after which the list was to continue.
    .filter((item) => item.kind === 'prefix' || !isMarker(query, item.entry.key, item.versionId))
    .toSorted(compareVersions);
  if (page.IsTruncated !== true) return { items, next: undefined };
  const { NextKeyMarker, NextVersionIdMarker = '' } = page;
  if (NextKeyMarker === undefined)
    throw new OrcaError('origin_unavailable', 'the origin truncates its list of versions without a NextKeyMarker');
  const keyMarker = decode(NextKeyMarker);
  if (isMarker(query, keyMarker, NextVersionIdMarker))
    throw new OrcaError('origin_unavailable', `the origin's list of versions stops at ${keyMarker}`);
  return { items, next: { keyMarker, versionIdMarker: NextVersionIdMarker } };
}

function isMarker({ keyMarker, versionIdMarker }: VersionQuery, key: string, versionId: string): boolean {
  return keyMarker !== '' && keyMarker === key && versionIdMarker === versionId;
}

type Decode = ReturnType<typeof nameDecoder>;

function versionItem(version: Sdk.ObjectVersion, decode: Decode): VersionItem {
  const { Key, ETag, Size, LastModified, StorageClass, ChecksumAlgorithm, ChecksumType } = version;
  return {
    kind: 'version',
    ...identityOf(version),
    entry: {
      key: decode(Key),
      etag: (ETag ?? '').replaceAll('"', ''),
      sizeBytes: Size ?? 0,
      lastModifiedMs: LastModified?.getTime() ?? 0,
      storageClass: StorageClass ?? 'STANDARD',
      checksums: ChecksumAlgorithm && { algorithms: ChecksumAlgorithm, type: ChecksumType },
    },
  };
}

function markerItem(marker: Sdk.DeleteMarkerEntry, decode: Decode): VersionItem {
  const { Key, LastModified } = marker;
  const entry = { key: decode(Key), lastModifiedMs: LastModified?.getTime() ?? 0 };
  return { kind: 'delete_marker', ...identityOf(marker), entry };
}

function identityOf({ VersionId, IsLatest }: Pick<Sdk.ObjectVersion, 'VersionId' | 'IsLatest'>) {
  return { versionId: VersionId ?? '', isLatest: IsLatest === true };
}
