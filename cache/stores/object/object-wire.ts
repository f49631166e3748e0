/** What an object store's protocol must provide to hold chunks: one implementation for S3, one for Azure. */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, CallOptions, Removal, StoredPage } from '#cache/engine/ports.ts';
import type { RawRequest, RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

export interface Upload {
  readonly key: string;
  readonly pieces: readonly Uint8Array[];
  readonly lengthBytes: number;
  readonly crc32: number;
  readonly metadata?: ChunkMetadata;
}

export interface ObjectRequest {
  readonly method: NonNullable<RawRequest['method']>;
  readonly key: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly sink?: ByteSink;
  /** The length of the body for the sink. */
  readonly expectedBytes?: number;
  readonly body?: readonly Uint8Array[];
  /** The maximum size of a body without a sink; default 64 KiB. */
  readonly maxCollectedBytes?: number;
  readonly onHead?: (status: number, headers: ResponseHeaders) => void;
}

export interface ListedPage {
  readonly prefix: string;
  /** Undefined = the first page. */
  readonly cursor: string | undefined;
}

export interface ObjectWire {
  /** Rejects with WireError, an OrcaError for unavailable credentials, or what `onHead` threw. */
  send(request: ObjectRequest, call: CallOptions): Promise<RawResponse>;
  /** One page of a list. Rejects as `send` does, and with store_unavailable. */
  list(where: ListedPage, call: CallOptions): Promise<StoredPage>;
  /**
   * Deletes many objects with one request, and rejects like `list`; undefined if the store cannot. Absent in protocols
   * without such a request.
   */
  removeAll?(names: readonly string[], call: CallOptions): Promise<Removal | undefined>;
  /** All headers of an upload except its condition. They include a checksum, so that the store rejects a truncated body. */
  uploadHeaders(upload: Upload, call: CallOptions): Promise<Record<string, string>> | Record<string, string>;
  /** The metadata fields of a response, by names that are the same for every protocol. */
  metadataFields(headers: ResponseHeaders): Record<string, string>;
  /** Maps an error response: 404 is `chunk_missing` unless the bucket is missing; anything else is `store_unavailable`. */
  errorFor(response: RawResponse, key: string): OrcaError;
  /** The meaning of a rejected `If-None-Match: *`. `again` = another write is in progress; undefined = another reason. */
  conditionOf(response: RawResponse): 'taken' | 'unsupported' | 'again' | undefined;
  /** Whether the store keeps old versions of overwritten objects; `key` is stored. Undefined = the store does not report it. */
  isVersioned(key: string, call: CallOptions): Promise<boolean | undefined>;
  close(): void;
}
