/** The versions of a fake origin's objects, as S3 keeps them: by ID, with delete markers, and with a null version. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import { compareKeys, rolledUpInto } from '#cache/core/s3/listing.ts';
import type { VersionItem, VersionPage, VersionQuery } from '#cache/core/s3/version-list.ts';
import { NULL_VERSION } from '#cache/core/s3/version-id.ts';

export interface StoredObject {
  readonly body: Uint8Array;
  readonly head: ObjectHead;
}

type Versioning = 'Enabled' | 'Suspended';
type Version = StoredObject | 'delete marker';

export class FakeVersions {
  readonly #states = new Map<string, Versioning>();
  /** By bucket and key, then by ID; the newest is last. */
  readonly #versions = new Map<string, Map<string, Version>>();
  #count = 0;

  /** As S3's PutBucketVersioning: there is no way back to a bucket without it. */
  set(bucket: string, state: Versioning): void {
    this.#states.set(bucket, state);
  }

  stateOf(bucket: string): Versioning | undefined {
    return this.#states.get(bucket);
  }

  /** The object as it is stored: with its version ID, if it has one. */
  put(bucket: string, key: string, stored: StoredObject): StoredObject {
    const versionId = this.#nextId(bucket);
    const { head } = stored;
    const headers = { ...head.headers, ...(this.#states.has(bucket) && { 'x-amz-version-id': versionId }) };
    const stamped = { ...stored, head: { ...head, headers } };
    this.#add(bucket, key, versionId, stamped);
    return stamped;
  }

  /** The ID of the delete marker; undefined in a bucket without versions. */
  remove(bucket: string, key: string): string | undefined {
    if (!this.#states.has(bucket)) {
      this.#versions.delete(nameOf(bucket, key));
      return undefined;
    }
    const versionId = this.#nextId(bucket);
    this.#add(bucket, key, versionId, 'delete marker');
    return versionId;
  }

  /** What GET answers in place of a deleted object. */
  markerOf(bucket: string, key: string): Record<string, string> | undefined {
    const newest = [...(this.#versions.get(nameOf(bucket, key)) ?? [])].at(-1);
    return newest?.[1] === 'delete marker' ? markerHeaders(newest[0]) : undefined;
  }

  /** Throws S3's errors. */
  find(bucket: string, key: string, versionId: string): StoredObject {
    if (versionId !== NULL_VERSION && !/^v\d+$/.test(versionId))
      throw new OrcaError('version_invalid', `no version ID: ${versionId}`, { status: 400 });
    const version = this.#versions.get(nameOf(bucket, key))?.get(versionId);
    if (version === undefined)
      throw new OrcaError('version_not_found', `no version ${versionId} of ${bucket}/${key}`, { status: 404 });
    if (version === 'delete marker')
      throw new OrcaError('delete_marker', `${versionId} is a delete marker`, {
        status: 405,
        headers: markerHeaders(versionId),
      });
    return version;
  }

  list(bucket: string, query: VersionQuery): VersionPage {
    const { prefix, delimiter, keyMarker, versionIdMarker, maxKeys } = query;
    const items: VersionItem[] = [];
    // After a version ID, the older ones of its key follow.
    let isPast = keyMarker === '';
    for (const item of this.#all(bucket)) {
      const { key } = item.entry;
      const order = compareKeys(key, keyMarker);
      const follows = order > 0 || (order === 0 && isPast);
      if (order === 0 && item.versionId === versionIdMarker) isPast = true;
      if ((keyMarker !== '' && !follows) || !key.startsWith(prefix)) continue;
      const rolled = rolledUpInto(key, { prefix, delimiter });
      const last = items.at(-1);
      if (rolled !== undefined && (rolled === keyMarker || (last?.kind === 'prefix' && last.prefix === rolled)))
        continue;
      if (items.length === maxKeys) return { items, next: nextOf(last) };
      items.push(rolled === undefined ? item : { kind: 'prefix', prefix: rolled });
    }
    return { items, next: undefined };
  }

  #all(bucket: string): Exclude<VersionItem, { readonly kind: 'prefix' }>[] {
    const names = [...this.#versions.keys()].filter((name) => name.startsWith(`${bucket}\0`)).toSorted(compareKeys);
    return names.flatMap((name) => {
      const key = name.slice(bucket.length + 1);
      return [...(this.#versions.get(name) ?? [])].toReversed().map(([versionId, version], index) => {
        const about = { versionId, isLatest: index === 0 };
        if (version === 'delete marker') return { kind: 'delete_marker', ...about, entry: { key, lastModifiedMs: 0 } };
        return { kind: 'version', ...about, entry: { key, ...version.head, storageClass: 'STANDARD' } };
      });
    });
  }

  /** Permanently, which leaves no marker. */
  erase(bucket: string, key: string, versionId: string): void {
    this.#versions.get(nameOf(bucket, key))?.delete(versionId);
  }

  #nextId(bucket: string): string {
    return this.#states.get(bucket) === 'Enabled' ? `v${++this.#count}` : NULL_VERSION;
  }

  #add(bucket: string, key: string, versionId: string, version: Version): void {
    const name = nameOf(bucket, key);
    const versions = this.#versions.get(name) ?? new Map<string, Version>();
    this.#versions.set(name, versions);
    versions.delete(versionId);
    versions.set(versionId, version);
  }
}

function nextOf(last: VersionItem | undefined): VersionPage['next'] {
  if (last === undefined) return undefined;
  return last.kind === 'prefix'
    ? { keyMarker: last.prefix, versionIdMarker: '' }
    : { keyMarker: last.entry.key, versionIdMarker: last.versionId };
}

function markerHeaders(versionId: string): Record<string, string> {
  return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionId };
}

function nameOf(bucket: string, key: string): string {
  return `${bucket}\0${key}`;
}
