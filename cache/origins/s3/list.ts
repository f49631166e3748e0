/**
 * Lists of an S3 origin, through the AWS SDK: it handles the XML, chunked bodies and redirects of these rare calls. Keys
 * are transferred percent-encoded, because XML cannot represent all of them.
 */
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
import type { VersionPage, VersionQuery } from '#cache/core/s3/version-list.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { toOrcaError } from '#cache/origins/response/answers.ts';
import { withLimit } from '#cache/wire/bounded.ts';
import type { CredentialsProvider } from '#cache/wire/credentials-source.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { S3ClientOptions } from '#cache/wire/s3/client.ts';
import { regionError } from '#cache/wire/s3/region.ts';
import { nameDecoder } from './encoded-names.ts';
import { toOriginError } from './errors.ts';
import { openSdkClient } from './sdk-client.ts';
import { versionPageOf, versionsInput } from './version-list.ts';

/** A page of 1000 keys from a large bucket may take seconds. */
const FIRST_BYTE_TIMEOUT_MS = 10_000;
/** From the first byte to the last: a page has some 500 KB. */
const BODY_TIMEOUT_MS = 10_000;
/** Origins may answer with short pages; one that returns nothing this many times in a row never will. */
const MAX_ROUNDS = 20;
/** S3's limit of an account, and of a page. */
const MAX_BUCKETS = 10_000;

export interface S3List {
  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage>;
  listVersions(bucket: string, query: VersionQuery, call: CallOptions): Promise<VersionPage>;
  /** The account's buckets whose names begin with `prefix`. */
  listBuckets(prefix: string, call: CallOptions): Promise<readonly string[]>;
  close(): void;
}

export function openS3List(options: S3ClientOptions, credentials: CredentialsProvider): S3List {
  return new SdkList(options, credentials);
}

interface SendOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

class SdkList implements S3List {
  readonly #options: S3ClientOptions;
  readonly #credentials: CredentialsProvider;
  #client: Sdk.S3Client | undefined;
  /** Some servers refuse headers that they do not know. */
  #knowsAttributes = true;
  /** Loaded by the first list: it is far larger than the rest of the process. */
  #sdk: Promise<typeof Sdk> | undefined;

  constructor(options: S3ClientOptions, credentials: CredentialsProvider) {
    this.#options = options;
    this.#credentials = credentials;
  }

  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    return mapped(bucket, call, () => this.#collect(bucket, query, call));
  }

  listVersions(bucket: string, query: VersionQuery, call: CallOptions): Promise<VersionPage> {
    const input = versionsInput(bucket, query);
    return mapped(bucket, call, async () =>
      versionPageOf(
        query,
        await this.#send(bucket, call, (client, { ListObjectVersionsCommand: Command }, options) =>
          client.send(new Command(input), options),
        ),
      ),
    );
  }

  listBuckets(prefix: string, call: CallOptions): Promise<readonly string[]> {
    return mapped('the list of buckets', call, async () => {
      const names: string[] = [];
      let token: string | undefined;
      for (let round = 1; round <= MAX_ROUNDS; round++) {
        const input = {
          MaxBuckets: MAX_BUCKETS,
          ...(prefix !== '' && { Prefix: prefix }),
          ...(token !== undefined && { ContinuationToken: token }),
        };
        const page = await this.#send('', call, (client, { ListBucketsCommand: Command }, options) =>
          client.send(new Command(input), options),
        );
        // Some servers ignore the prefix.
        for (const { Name } of page.Buckets ?? []) if (Name?.startsWith(prefix) === true) names.push(Name);
        token = page.ContinuationToken;
        if (token === undefined || names.length >= MAX_BUCKETS) return names;
      }
      throw new OrcaError('origin_unavailable', "the origin's list of buckets does not end");
    });
  }

  close(): void {
    this.#client?.destroy();
  }

  async #collect(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    const items: ListItem[] = [];
    let token: string | undefined;
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      const page = await this.#fetchPage(bucket, query, query.maxKeys - items.length, token, call);
      // Some origins repeat the common prefix after which the list was to continue.
      items.push(...itemsOf(page).filter((item) => query.after === '' || compareKeys(nameOf(item), query.after) > 0));
      const truncated = page.IsTruncated === true;
      if (!truncated || items.length >= query.maxKeys) return { items, truncated };
      token = page.NextContinuationToken;
      if (token === undefined) break;
    }
    throw new OrcaError('origin_unavailable', `the origin's list of ${bucket} does not end`);
  }

  async #fetchPage(
    bucket: string,
    query: ListQuery,
    maxKeys: number,
    token: string | undefined,
    call: CallOptions,
  ): Promise<Sdk.ListObjectsV2Output> {
    const input: Sdk.ListObjectsV2CommandInput = {
      Bucket: bucket,
      EncodingType: 'url',
      MaxKeys: maxKeys,
      ...(this.#knowsAttributes && { OptionalObjectAttributes: ['RestoreStatus'] }),
      ...(query.prefix !== '' && { Prefix: query.prefix }),
      ...(query.delimiter !== '' && { Delimiter: query.delimiter }),
      ...(query.after !== '' && { StartAfter: query.after }),
      ...(token !== undefined && { ContinuationToken: token }),
    };
    const send = (of: Sdk.ListObjectsV2CommandInput): Promise<Sdk.ListObjectsV2Output> =>
      this.#send(bucket, call, (client, { ListObjectsV2Command: Command }, options) =>
        client.send(new Command(of), options),
      );
    try {
      return await send(input);
    } catch (error) {
      if (!this.#knowsAttributes || !isHeaderRefusal(error)) throw error;
      const { OptionalObjectAttributes: _, ...plain } = input;
      const page = await send(plain);
      this.#knowsAttributes = false;
      return page;
    }
  }

  async #send<T>(
    bucket: string,
    call: CallOptions,
    send: (client: Sdk.S3Client, sdk: typeof Sdk, options: SendOptions) => Promise<T>,
  ): Promise<T> {
    const sdk = await (this.#sdk ??= import('@aws-sdk/client-s3'));
    const client = (this.#client ??= openSdkClient(sdk.S3Client, this.#options, this.#credentials));
    const { firstByteTimeoutMs = FIRST_BYTE_TIMEOUT_MS, stallTimeoutMs = BODY_TIMEOUT_MS } = call;
    const limitMs = firstByteTimeoutMs + stallTimeoutMs;
    const late = (): OrcaError =>
      new OrcaError('origin_unavailable', `the origin's list of ${bucket} did not end within ${limitMs} ms`);
    // The SDK may wait for credentials or for the end of a body without heeding its own timeouts or its signal.
    return withLimit(limitMs, late, call.signal, (signal) =>
      send(client, sdk, { abortSignal: signal, requestTimeout: firstByteTimeoutMs }),
    );
  }
}

/** Runs a call of the SDK, and maps its errors. */
async function mapped<T>(bucket: string, { signal }: CallOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (signal.aborted) throw cancelledBy(signal);
    throw asListError(error, bucket);
  }
}

function itemsOf(page: Sdk.ListObjectsV2Output): ListItem[] {
  const items: ListItem[] = [];
  const decode = nameDecoder(page.EncodingType);
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
  const status = $metadata.httpStatusCode ?? 0;
  const headers: ResponseHeaders = $response?.headers ?? {};
  const fault = { code, message, region: elementOf(error, 'Region'), endpoint: elementOf(error, 'Endpoint') };
  const seconds = Number(headers['retry-after']);
  return toOriginError(
    {
      status,
      code,
      message,
      retryAfterMs: Number.isInteger(seconds) ? seconds * 1000 : undefined,
      otherRegion: regionError(status, fault, headers),
    },
    bucket,
  );
}

function isHeaderRefusal(error: unknown): boolean {
  if (!isServiceException(error)) return false;
  const { httpStatusCode: status } = error.$metadata;
  return status === 501 || (status === 400 && error.name === 'InvalidArgument');
}

/** The SDK copies the elements of an error document to its exception. */
function elementOf(error: Sdk.S3ServiceException, name: string): string {
  const value: unknown = Object.entries(error).find(([key]) => key === name)?.[1];
  return typeof value === 'string' ? value : '';
}

/** An error response; errors that the SDK throws without a response have no status. */
function isServiceException(error: unknown): error is Sdk.S3ServiceException {
  return error instanceof Error && '$metadata' in error && '$fault' in error;
}
