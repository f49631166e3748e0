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
  }
  const coding = ownCoding(headers);
  if (coding !== '') kept['content-encoding'] = coding;
  return kept;
}

/** The object's content coding without the upload's, which some stores keep although the object is stored without it. */
export function ownCoding(headers: Readonly<Record<string, string>>): string {
  return (headers['content-encoding'] ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding.toLowerCase() !== 'aws-chunked' && coding !== '')
    .join(', ');
}
