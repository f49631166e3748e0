/** One page of List Blobs. */
import { MAX_STORE_NAMES, type CallOptions, type StoredEntry, type StoredPage } from '#cache/engine/ports.ts';
import { LIST_FIRST_BYTE_TIMEOUT_MS, listedEntry, MAX_PAGE_BYTES, readPage } from '#cache/stores/object/listed.ts';
import type { ListedPage } from '#cache/stores/object/object-wire.ts';
import { unavailable } from '#cache/stores/object/store-errors.ts';
import { blobNameOf } from '#cache/wire/azure/blob-name.ts';
import type { AzureClient } from '#cache/wire/azure/client.ts';
import { childOf, parseXmlOf, requiredText, textOf, XmlError, type XmlElement } from '#cache/wire/xml.ts';
import { errorFor } from './errors.ts';

export async function listBlobs(
  client: AzureClient,
  container: string,
  { prefix, cursor }: ListedPage,
  call: CallOptions,
): Promise<StoredPage> {
  const query: [string, string][] = [
    ['restype', 'container'],
    ['comp', 'list'],
    ['prefix', prefix],
    ['maxresults', String(MAX_STORE_NAMES)],
  ];
  if (cursor !== undefined) query.push(['marker', cursor]);
  const response = await client.send(
    { method: 'GET', container, query, maxCollectedBytes: MAX_PAGE_BYTES },
    { firstByteTimeoutMs: LIST_FIRST_BYTE_TIMEOUT_MS, ...call },
  );
  if (response.status !== 200) throw unavailable(errorFor(response, `the list of ${prefix}`));
  return readPage(response, { prefix, cursor }, parseBlobNames);
}

/** Throws XmlError for a document that is cut, of another kind, or does not show whether it is the last. */
export function parseBlobNames(xml: string): StoredPage {
  const root = parseXmlOf('EnumerationResults', xml);
  const blobs = childOf(root, 'Blobs');
  if (blobs === undefined) throw new XmlError('no Blobs in it');
  const entries = blobs.children.filter(({ name }) => name === 'Blob').flatMap(entryOf);
  const marker = requiredText(root, 'NextMarker');
  return { entries, cursor: marker === '' ? undefined : marker };
}

/** None for a directory, which accounts with a hierarchical namespace list as well. */
function entryOf(blob: XmlElement): readonly StoredEntry[] {
  const properties = childOf(blob, 'Properties');
  const name = childOf(blob, 'Name');
  if (properties === undefined || name === undefined) throw new XmlError('a blob without its name or properties');
  if (textOf(properties, 'ResourceType') === 'directory') return [];
  const sizeText = requiredText(properties, 'Content-Length');
  return [listedEntry(blobNameOf(name), sizeText, requiredText(properties, 'Last-Modified'))];
}
