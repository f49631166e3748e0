/** S3-compatible stores as cachestore: user metadata, a CRC-32 on every upload, and the meaning of responses. */
import { encodeMetadata } from '#cache/core/chunk-metadata.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { openObjectStore } from '#cache/stores/object/object-store.ts';
import type { ObjectWire } from '#cache/stores/object/object-wire.ts';
import { faultOf, openS3Client, type S3ClientOptions } from '#cache/wire/s3/client.ts';
import type { Clock } from '#shared/clock.ts';
import { errorFor } from './errors.ts';

export interface S3StoreOptions extends S3ClientOptions {
  readonly bucket: string;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

const META = 'x-amz-meta-';

export function openS3Store(options: S3StoreOptions): ProbedStore {
  const { bucket } = options;
  const client = openS3Client(options);
  const wire: ObjectWire = {
    send: (request, call) => client.send({ ...request, bucket }, call),
    uploadHeaders({ lengthBytes, crc32, metadata }) {
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32BE(crc32);
      const headers: Record<string, string> = {
        'content-type': 'application/octet-stream',
        'content-length': String(lengthBytes),
        'x-amz-checksum-crc32': checksum.toString('base64'),
      };
      for (const [name, value] of Object.entries(metadata === undefined ? {} : encodeMetadata(metadata)))
        headers[`${META}${name}`] = value;
      return headers;
    },
    metadataFields(headers) {
      const fields: Record<string, string> = {};
      for (const [name, value] of Object.entries(headers))
        if (name.startsWith(META)) fields[name.slice(META.length)] = value;
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
