/** Which of an origin's headers describe the object itself and are handed through to clients. Pure. */

const EXACT = new Set([
  'content-type',
  'cache-control',
  'content-language',
  'content-disposition',
  'expires',
  'x-amz-tagging-count',
  'x-amz-version-id',
  'x-amz-restore',
  'x-amz-expiration',
  'x-amz-mp-parts-count',
]);
const PREFIXES = ['x-amz-meta-', 'x-amz-server-side-encryption', 'x-amz-checksum-'];

export function representationHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (EXACT.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix))) kept[name] = value;
    // S3 names the class only where it is not the usual one; some servers always do.
    else if (name === 'x-amz-storage-class' && value !== 'STANDARD') kept[name] = value;
    else if (name === 'content-encoding') {
      // The coding of the upload, which some stores keep although the object is stored without it.
      const codings = value.split(',').map((coding) => coding.trim());
      const own = codings.filter((coding) => coding.toLowerCase() !== 'aws-chunked' && coding !== '');
      if (own.length > 0) kept[name] = own.join(', ');
    }
  }
  return kept;
}
