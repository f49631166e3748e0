/** Selects the headers of an origin that describe the object itself and are passed to clients. Pure. */
import { isObjectHeader } from '#cache/core/object-headers.ts';

export function representationHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    // S3 omits the default class; some servers always send it.
    const isDefaultClass = name === 'x-amz-storage-class' && value === 'STANDARD';
    if (isObjectHeader(name) && !isDefaultClass && name !== 'content-encoding') kept[name] = value;
  }
  const coding = ownCoding(headers);
  if (coding !== '') kept['content-encoding'] = coding;
  return kept;
}

/** The object's content coding, without the one of its upload, which some stores keep although it does not apply. */
export function ownCoding(headers: Readonly<Record<string, string>>): string {
  return (headers['content-encoding'] ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding.toLowerCase() !== 'aws-chunked' && coding !== '')
    .join(', ');
}
