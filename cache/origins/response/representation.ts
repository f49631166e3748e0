/** Which of an origin's headers describe the object itself and are handed through to clients. Pure. */

import { isObjectHeader } from '#cache/core/object-headers.ts';

export function representationHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    // S3 names the class only where it is not the usual one; some servers always do.
    const isUsual = name === 'x-amz-storage-class' && value === 'STANDARD';
    if (isObjectHeader(name) && !isUsual && name !== 'content-encoding') kept[name] = value;
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
