/**
 * An object for the commands to paste: the largest on the first page of the origin's list, up to a size that is read in
 * seconds.
 */
import { parseXmlOf, textOf } from '#cache/wire/xml.ts';

const TIMEOUT_MS = 10_000;
const MAX_SIZE_BYTES = 256 * 1024 * 1024;

/** Undefined if the origin lists nothing, or not at all. */
export async function firstKey(edge: string, bucket: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(`${edge}/${bucket}?list-type=2&max-keys=100`, { signal });
    return response.ok ? keyOf(await response.text()) : undefined;
  } catch {
    return undefined;
  }
}

/** From a ListObjectsV2 document. */
export function keyOf(document: string): string | undefined {
  return parseXmlOf('ListBucketResult', document)
    .children.filter(({ name }) => name === 'Contents')
    .map((entry) => ({ key: textOf(entry, 'Key') ?? '', sizeBytes: Number(textOf(entry, 'Size')) }))
    .filter(({ key, sizeBytes }) => sizeBytes > 0 && sizeBytes <= MAX_SIZE_BYTES && !key.endsWith('/'))
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0]?.key;
}
