/** Lists of versions (`GET /bucket?versions`): the request, and a page as the origin has it. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { namesEncoding, pageSizeOf } from './list-request.ts';
import { compareKeys, type ObjectEntry } from './listing.ts';

export interface VersionQuery {
  readonly prefix: string;
  /** Empty = no delimiter. */
  readonly delimiter: string;
  /** The list begins after this version of this key, or after all versions of the key; empty = from the start. */
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  /** 1 to 1000. */
  readonly maxKeys: number;
}

export interface DeleteMarker {
  readonly key: string;
  readonly lastModifiedMs: number;
}

interface VersionOf {
  readonly versionId: string;
  readonly isLatest: boolean;
}

export type VersionItem =
  | ({ readonly kind: 'version'; readonly entry: ObjectEntry } & VersionOf)
  | ({ readonly kind: 'delete_marker'; readonly entry: DeleteMarker } & VersionOf)
  | { readonly kind: 'prefix'; readonly prefix: string };

export interface VersionPage {
  /** By key; the versions of a key from the newest to the oldest. */
  readonly items: readonly VersionItem[];
  /** Where the next page begins; undefined on the last page. */
  readonly next: { readonly keyMarker: string; readonly versionIdMarker: string } | undefined;
}

export interface VersionListRequest extends VersionQuery {
  readonly bucket: string;
  readonly encodeNames: boolean;
}

/** Throws `invalid_argument`. */
export function parseVersionListRequest(bucket: string, query: ReadonlyMap<string, string>): VersionListRequest {
  const keyMarker = query.get('key-marker') ?? '';
  const versionIdMarker = query.get('version-id-marker') ?? '';
  if (versionIdMarker !== '' && keyMarker === '')
    throw new OrcaError('invalid_argument', 'A version-id marker cannot be specified without a key marker.', {
      fields: { ArgumentName: 'version-id-marker', ArgumentValue: versionIdMarker },
    });
  return {
    bucket,
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    keyMarker,
    versionIdMarker,
    maxKeys: pageSizeOf(query),
    encodeNames: namesEncoding(query),
  };
}

/** S3's order. An SDK returns versions and delete markers as two lists. */
export function compareVersions(a: VersionItem, b: VersionItem): number {
  const byName = compareKeys(nameOf(a), nameOf(b));
  if (byName !== 0 || a.kind === 'prefix' || b.kind === 'prefix') return byName;
  if (a.isLatest !== b.isLatest) return a.isLatest ? -1 : 1;
  return b.entry.lastModifiedMs - a.entry.lastModifiedMs;
}

function nameOf(item: VersionItem): string {
  return item.kind === 'prefix' ? item.prefix : item.entry.key;
}

/** A bucket rule's prefix: puts a client's query under it. */
export function versionsUnder(prefix: string, query: VersionQuery): VersionQuery {
  const { keyMarker } = query;
  return { ...query, prefix: prefix + query.prefix, keyMarker: keyMarker === '' ? '' : prefix + keyMarker };
}

/** Removes the rule's prefix from a page. */
export function versionsWithout(prefix: string, { items, next }: VersionPage): VersionPage {
  if (prefix === '') return { items, next };
  const strip = (name: string): string => {
    if (!name.startsWith(prefix))
      throw new OrcaError('origin_unavailable', 'the origin listed a version outside the requested prefix');
    return name.slice(prefix.length);
  };
  const stripped = items.map((item): VersionItem => {
    switch (item.kind) {
      case 'prefix':
        return { kind: 'prefix', prefix: strip(item.prefix) };
      case 'version':
        return { ...item, entry: { ...item.entry, key: strip(item.entry.key) } };
      case 'delete_marker':
        return { ...item, entry: { ...item.entry, key: strip(item.entry.key) } };
    }
  });
  return { items: stripped, next: next && { ...next, keyMarker: strip(next.keyMarker) } };
}
