/**
 * Lists of an S3 origin, by the AWS SDK: control calls, whose XML, chunked bodies and redirects it knows. Keys travel
 * percent-encoded, since XML can't carry all of them.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type * as Sdk from '@aws-sdk/client-s3';
import { OrcaError } from '#cache/core/errors.ts';
import {
  compareKeys,
  nameOf,
  type ListItem,
  type ListPage,
  type ListQuery,
  type ObjectEntry,
} from '#cache/core/s3/listing.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { openCredentials } from '#cache/wire/credentials-source.ts';
import type { S3ClientOptions } from '#cache/wire/s3/client.ts';
import { trustOf } from '#cache/wire/http1/trust.ts';
import { toOrcaError } from '#cache/origins/response/answers.ts';
import { refusal } from './errors.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** A page of 1000 keys out of a large bucket may take seconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Origins may answer with short pages, but one that gives nothing so often gives nothing. */
const MAX_ROUNDS = 20;

export interface S3List {
  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage>;
  close(): void;
}

export function openS3List(options: S3ClientOptions): S3List {
  const { endpoint, region, forcePathStyle, caFile } = options;
  const credentials = openCredentials(options.credentials, { region });
  const proxyEnv = { ...options.env };
  let client: Sdk.S3Client | undefined;
  // Loaded with the first list: it is far larger than everything else in the process.
  let sdk: Promise<typeof Sdk> | undefined;
  const open = (S3: typeof Sdk.S3Client): Sdk.S3Client =>
    new S3({
      region,
      ...(endpoint !== '' && { endpoint }),
      forcePathStyle,
      credentials: async () => {
        const { sessionToken, ...keys } = await credentials();
        return { ...keys, ...(sessionToken !== undefined && { sessionToken }) };
      },
      // Ours is the only retry layer.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        httpAgent: new HttpAgent({ keepAlive: true, proxyEnv }),
        httpsAgent: new HttpsAgent({ keepAlive: true, proxyEnv, ...(caFile !== '' && { ca: trustOf(caFile) }) }),
      },
    });

  const ask = async (
    bucket: string,
    query: ListQuery,
    maxKeys: number,
    token: string | undefined,
    call: CallOptions,
  ): Promise<Sdk.ListObjectsV2Output> => {
    const { ListObjectsV2Command, S3Client: S3 } = await (sdk ??= import('@aws-sdk/client-s3'));
    client ??= open(S3);
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      EncodingType: 'url',
      MaxKeys: maxKeys,
      OptionalObjectAttributes: ['RestoreStatus'],
      ...(query.prefix !== '' && { Prefix: query.prefix }),
      ...(query.delimiter !== '' && { Delimiter: query.delimiter }),
      ...(query.after !== '' && { StartAfter: query.after }),
      ...(token !== undefined && { ContinuationToken: token }),
    });
    return client.send(command, { abortSignal: call.signal });
  };

  return {
    async list(bucket, query, call) {
      const items: ListItem[] = [];
      let token: string | undefined;
      try {
        for (let round = 1; round <= MAX_ROUNDS; round++) {
          const page = await ask(bucket, query, query.maxKeys - items.length, token, call);
          // Some origins name the rolled-up prefix again that the list goes on behind.
          items.push(
            ...itemsOf(page).filter((item) => query.after === '' || compareKeys(nameOf(item), query.after) > 0),
          );
          const truncated = page.IsTruncated === true;
          if (!truncated || items.length >= query.maxKeys) return { items, truncated };
          token = page.NextContinuationToken;
          if (token === undefined) break;
        }
        throw new OrcaError('origin_unavailable', `the origin's list of ${bucket} does not come to an end`);
      } catch (error) {
        call.signal.throwIfAborted();
        throw asListError(error, bucket);
      }
    },
    close() {
      client?.destroy();
    },
  };
}

function itemsOf(page: Sdk.ListObjectsV2Output): ListItem[] {
  const items: ListItem[] = [];
  // Some servers take no notice of the wish.
  const decode = page.EncodingType === 'url' ? decodeName : (name: string | undefined) => name ?? '';
  for (const object of page.Contents ?? []) {
    const { Key, ETag, Size, LastModified, StorageClass, RestoreStatus, ChecksumAlgorithm, ChecksumType } = object;
    const entry: ObjectEntry = {
      key: decode(Key),
      etag: (ETag ?? '').replaceAll('"', ''),
      sizeBytes: Size ?? 0,
      lastModifiedMs: LastModified?.getTime() ?? 0,
      storageClass: StorageClass ?? 'STANDARD',
      restore: restoreHeader(RestoreStatus),
      checksums: ChecksumAlgorithm && { algorithms: ChecksumAlgorithm, type: ChecksumType },
    };
    items.push({ kind: 'object', entry });
  }
  for (const { Prefix } of page.CommonPrefixes ?? []) items.push({ kind: 'prefix', prefix: decode(Prefix) });
  return items.toSorted((a, b) => compareKeys(nameOf(a), nameOf(b)));
}

/** AWS writes a space as `+`, others as `%20`; a plus is `%2B` everywhere. */
function decodeName(encoded: string | undefined): string {
  try {
    return decodeURIComponent((encoded ?? '').replaceAll('+', '%20'));
  } catch (error) {
    throw new OrcaError('origin_unavailable', 'the origin lists a key that is not percent-encoded', { cause: error });
  }
}

function restoreHeader(
  status:
    | { readonly IsRestoreInProgress?: boolean | undefined; readonly RestoreExpiryDate?: Date | undefined }
    | undefined,
): string | undefined {
  if (status?.IsRestoreInProgress === undefined) return undefined;
  const expiry =
    status.RestoreExpiryDate === undefined ? '' : `, expiry-date="${status.RestoreExpiryDate.toUTCString()}"`;
  return `ongoing-request="${status.IsRestoreInProgress}"${expiry}`;
}

function asListError(error: unknown, bucket: string): OrcaError {
  if (!isServiceException(error)) return toOrcaError(error, bucket);
  const { name: code, message, $metadata, $response } = error;
  const headers = $response?.headers ?? {};
  const seconds = Number(headers['retry-after']);
  return refusal(
    {
      status: $metadata.httpStatusCode ?? 0,
      code,
      message,
      retryAfterMs: Number.isInteger(seconds) ? seconds * 1000 : undefined,
      region: headers['x-amz-bucket-region'],
    },
    bucket,
  );
}

/** An answer of the service; what the SDK throws without one has no status. */
function isServiceException(error: unknown): error is Sdk.S3ServiceException {
  return error instanceof Error && '$metadata' in error && '$fault' in error;
}
