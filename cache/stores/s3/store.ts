/** S3-compatible stores as cachestore: user metadata, a CRC-32 or MD5 on every upload, and the meaning of responses. */
import { encodeMetadata, METADATA_FIELDS } from '#cache/core/chunk-metadata.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { md5Of } from '#cache/stores/object/md5.ts';
import { openObjectStore } from '#cache/stores/object/object-store.ts';
import type { ObjectRequest, ObjectWire } from '#cache/stores/object/object-wire.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, openS3Client, type S3ClientOptions } from '#cache/wire/s3/client.ts';
import type { Clock } from '#shared/clock.ts';
import { base64Of, CRC32 } from './checksum.ts';
import { DeleteObjects } from './delete-objects.ts';
import { errorFor } from './errors.ts';
import { listObjects } from './list-objects.ts';

export interface S3StoreOptions extends S3ClientOptions {
  readonly bucket: string;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

const META = 'x-amz-meta-';
const META_HEADERS = METADATA_FIELDS.map((field) => [field, `${META}${field}`] as const);

/**
 * Whether a store may have refused an upload because of its checksum: it is then repeated with an MD5, which every store
 * knows. 501 to a conditional upload usually concerns the condition.
 */
function mayRefuseCrc32({ method, headers = {} }: ObjectRequest, response: RawResponse): boolean {
  if (method !== 'PUT' || !(CRC32 in headers) || !isRefusal(response)) return false;
  const { code, message } = faultOf(response.body);
  if (code === 'BadDigest' || code === 'NoSuchBucket') return false;
  return response.status === 400 || !('if-none-match' in headers) || /checksum/i.test(message);
}

function isRefusal({ status }: RawResponse): boolean {
  return status === 400 || status === 501;
}

export function openS3Store(options: S3StoreOptions): ProbedStore {
  const { bucket } = options;
  const client = openS3Client(options);
  const deleteObjects = new DeleteObjects(client, bucket);
  let knowsCrc32 = true;
  const wire: ObjectWire = {
    async send(request, call) {
      const response = await client.send({ ...request, bucket }, call);
      if (!mayRefuseCrc32(request, response)) return response;
      const { [CRC32]: _, ...headers } = request.headers ?? {};
      const withMd5 = { ...headers, 'content-md5': await md5Of(request.body ?? [], call.signal) };
      const again = await client.send({ ...request, bucket, headers: withMd5 }, call);
      if (isRefusal(again)) return response;
      knowsCrc32 = false;
      return again;
    },
    list: (where, call) => listObjects(client, bucket, where, call),
    removeAll: (names, call) => deleteObjects.remove(names, call),
    async uploadHeaders({ lengthBytes, crc32, pieces, metadata }, call) {
      const headers: Record<string, string> = {
        'content-type': 'application/octet-stream',
        'content-length': String(lengthBytes),
        ...(knowsCrc32 ? { [CRC32]: base64Of(crc32) } : { 'content-md5': await md5Of(pieces, call.signal) }),
      };
      for (const [name, value] of Object.entries(metadata === undefined ? {} : encodeMetadata(metadata)))
        headers[`${META}${name}`] = value;
      return headers;
    },
    metadataFields(headers) {
      const fields: Record<string, string> = {};
      for (const [field, header] of META_HEADERS) {
        const value = headers[header];
        if (value !== undefined) fields[field] = value;
      }
      return fields;
    },
    errorFor,
    conditionOf({ status }) {
      if (status === 412) return 'taken';
      if (status === 501) return 'unsupported';
      return status === 409 ? 'again' : undefined;
    },
    /** 501, or 405 from stores without versioning, means no; 403 leaves it open. */
    async isVersioned(_key, call) {
      const response = await client.send({ method: 'GET', bucket, key: '', query: [['versioning', '']] }, call);
      if (response.status === 200) return /<Status>\s*Enabled\s*<\/Status>/.test(response.body.toString('utf8'));
      if (response.status === 501 || response.status === 405) return false;
      if (response.status === 404 && faultOf(response.body).code === 'NoSuchBucket') throw errorFor(response, bucket);
      return undefined;
    },
    close: () => client.close(),
  };
  return openObjectStore(wire, options.clock);
}
