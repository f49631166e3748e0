/** `versionId=…`: which version of an object a request is about. */
import { OrcaError } from '#cache/core/errors.ts';
import { MAX_VERSION_ID_BYTES } from '#cache/core/object.ts';

/** The version that an object got while its bucket kept no versions. Unlike any other, it can be overwritten. */
export const NULL_VERSION = 'null';

/** Undefined for the current version. Throws `invalid_argument` or `version_invalid`. */
export function versionIdOf(query: ReadonlyMap<string, string>): string | undefined {
  const versionId = query.get('versionId');
  if (versionId === '')
    throw new OrcaError('invalid_argument', 'Version id cannot be the empty string', {
      fields: { ArgumentName: 'versionId', ArgumentValue: '' },
    });
  if (versionId !== undefined && !isVersionId(versionId))
    throw new OrcaError('version_invalid', 'the version ID is longer than 1024 bytes or has control characters');
  return versionId;
}

/** Whether S3 could have assigned it. */
export function isVersionId(text: string): boolean {
  return text !== '' && !/\p{Cc}/u.test(text) && Buffer.byteLength(text) <= MAX_VERSION_ID_BYTES;
}

/** Whether the version of this ID can never have other bytes. */
export function isImmutable(versionId: string | undefined): boolean {
  return versionId !== undefined && versionId !== NULL_VERSION;
}
