/** Parts and versions of an object in the responses of S3. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import { encodeRfc3986 } from '#cache/core/percent.ts';
import { bodyChecksums } from '#cache/core/s3/checksums.ts';
import { NULL_VERSION } from '#cache/core/s3/version-id.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange, strongEtag } from '#cache/wire/s3/client.ts';

export function partOf(headers: ResponseHeaders, object: ObjectVersion, part: number): ObjectPart {
  const name = `${object.bucket}/${object.key}`;
  if (strongEtag(headers) !== object.etag) throw new OrcaError('object_changed', `${name} has changed: another ETag`);
  const text = /^[1-9]\d{0,4}$/.exec(headers['x-amz-mp-parts-count'] ?? '')?.[0];
  const count = text === undefined ? undefined : Number(text);
  // An empty object has one part, but no range of bytes.
  if (object.sizeBytes === 0) return { range: { from: 0, to: 0 }, count };
  const range = contentRange(headers);
  if (range === undefined)
    throw new OrcaError('not_implemented', `the origin does not report the range of part ${part} of ${name}`);
  if (range.totalBytes !== object.sizeBytes || range.to > object.sizeBytes || range.from >= range.to)
    throw new OrcaError('origin_unavailable', `the origin reports a range outside of ${name} for part ${part}`);
  const checksums = bodyChecksums(headers);
  const known = { range: { from: range.from, to: range.to }, count };
  return Object.keys(checksums).length === 0 ? known : { ...known, checksums };
}

/** A server without versions ignores the parameter, and describes the object that it has. */
export function requireVersion(headers: ResponseHeaders, versionId: string | undefined, name: string): void {
  if (versionId === undefined || (headers['x-amz-version-id'] ?? NULL_VERSION) === versionId) return;
  throw new OrcaError(
    'not_implemented',
    `the origin does not serve versions by ID: it ignores the one requested of ${name}`,
  );
}

export function versionQuery(versionId: string | undefined): readonly (readonly [string, string])[] {
  return versionId === undefined ? [] : [['versionId', encodeRfc3986(versionId)]];
}
