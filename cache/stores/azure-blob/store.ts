/** Azure Blob Storage as cachestore: block blobs by Put Blob, an MD5 on every upload, and the meaning of responses. */
import { encodeMetadata } from '#cache/core/chunk-metadata.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { md5Of } from '#cache/stores/object/md5.ts';
import { openObjectStore } from '#cache/stores/object/object-store.ts';
import { azureErrorCode, openAzureClient, type AzureClientOptions } from '#cache/wire/azure/client.ts';
import { errorFor } from './errors.ts';
import { listBlobs } from './list-blobs.ts';

export interface AzureStoreOptions extends AzureClientOptions {
  readonly container: string;
}

const META = 'x-ms-meta-';

export function openAzureStore(options: AzureStoreOptions): ProbedStore {
  const { container } = options;
  const client = openAzureClient(options);
  return openObjectStore({
    async send({ key, ...request }, call) {
      const response = await client.send({ ...request, container, blob: key }, call);
      if (request.method !== 'DELETE' || azureErrorCode(response) !== 'SnapshotsPresent') return response;
      // Only then, because this header may need a further permission.
      const headers = { ...request.headers, 'x-ms-delete-snapshots': 'include' };
      return client.send({ ...request, headers, container, blob: key }, call);
    },
    list: (where, call) => listBlobs(client, container, where, call),
    async uploadHeaders({ pieces, lengthBytes, metadata }, call) {
      return {
        'content-type': 'application/octet-stream',
        'content-length': String(lengthBytes),
        // Azure's other checksum, a CRC-64, would have to be computed in JavaScript.
        'content-md5': await md5Of(pieces, call.signal),
        'x-ms-blob-type': 'BlockBlob',
        ...(metadata !== undefined && metadataHeaders(encodeMetadata(metadata))),
      };
    },
    metadataFields(headers) {
      const fields: Record<string, string> = {};
      for (const [name, value] of Object.entries(headers))
        if (name.startsWith(META)) fields[name.slice(META.length).replaceAll('_', '-')] = value;
      return fields;
    },
    errorFor,
    /** 409 if the blob existed before the request, 412 if it was created meanwhile. */
    conditionOf(response) {
      const isTaken = response.status === 412 || azureErrorCode(response) === 'BlobAlreadyExists';
      return isTaken ? 'taken' : undefined;
    },
    async isVersioned(key, call) {
      const { status, headers } = await client.send({ method: 'HEAD', container, blob: key }, call);
      return status === 200 ? 'x-ms-version-id' in headers : undefined;
    },
    close: () => client.close(),
  });
}

/** Azure allows only C# identifiers as names: no `-`. */
export function metadataHeaders(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`${META}${name.replaceAll('-', '_')}`, value]),
  );
}
