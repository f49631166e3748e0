/** One page of ListObjectsV2. */
import { MAX_STORE_NAMES, type CallOptions, type StoredPage } from '#cache/engine/ports.ts';
import { LIST_FIRST_BYTE_TIMEOUT_MS, listedEntry, MAX_PAGE_BYTES, readPage } from '#cache/stores/object/listed.ts';
import type { ListedPage } from '#cache/stores/object/object-wire.ts';
import { unavailable } from '#cache/stores/object/store-errors.ts';
import type { S3Client } from '#cache/wire/s3/client.ts';
import { childOf, parseXmlOf, requiredText, textOf, XmlError } from '#cache/wire/xml.ts';
import { errorFor } from './errors.ts';

export async function listObjects(
  client: S3Client,
  bucket: string,
  { prefix, cursor }: ListedPage,
  call: CallOptions,
): Promise<StoredPage> {
  const query: [string, string][] = [
    ['list-type', '2'],
    ['prefix', encoded(prefix)],
    ['max-keys', String(MAX_STORE_NAMES)],
    // XML cannot represent every name.
    ['encoding-type', 'url'],
  ];
  if (cursor !== undefined) query.push(['continuation-token', encoded(cursor)]);
  const response = await client.send(
    { method: 'GET', bucket, key: '', query, maxCollectedBytes: MAX_PAGE_BYTES },
    { firstByteTimeoutMs: LIST_FIRST_BYTE_TIMEOUT_MS, ...call },
  );
  if (response.status !== 200) throw unavailable(errorFor(response, `the list of ${prefix}`));
  return readPage(response, { prefix, cursor }, parseObjectPage);
}

/** Throws XmlError for a document that is cut, of another kind, or does not show whether it is the last. */
export function parseObjectPage(xml: string): StoredPage {
  const root = parseXmlOf('ListBucketResult', xml);
  const encoding = textOf(root, 'EncodingType');
  const entries = root.children
    .filter(({ name }) => name === 'Contents')
    .map((object) => {
      const key = requiredText(object, 'Key');
      const name = encoding === 'url' ? decodeName(key) : key;
      return listedEntry(name, requiredText(object, 'Size'), requiredText(object, 'LastModified'));
    });
  const isTruncated = requiredText(root, 'IsTruncated');
  if (isTruncated === 'false') return { entries, cursor: undefined };
  const cursor = childOf(root, 'NextContinuationToken')?.text ?? '';
  if (isTruncated !== 'true' || cursor === '') throw new XmlError('it is truncated, but names no continuation');
  return { entries, cursor };
}

/** AWS encodes a space as `+`, others as `%20`; a plus is always `%2B`. */
function decodeName(encodedName: string): string {
  try {
    return decodeURIComponent(encodedName.replaceAll('+', '%20'));
  } catch (error) {
    throw new XmlError('a name that is not percent-encoded', { cause: error });
  }
}

/** As signatures require: also what encodeURIComponent leaves. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
