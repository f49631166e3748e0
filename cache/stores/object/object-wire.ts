/** What an object store's own protocol has to say for itself, so that chunks can be kept there: one for S3, one for Azure. */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
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
  readonly body?: readonly Uint8Array[];
  readonly onHead?: (status: number, headers: ResponseHeaders) => void;
}

export interface ObjectWire {
  /** Rejects with WireError, an OrcaError for credentials that can't be had, or what `onHead` threw. */
  send(request: ObjectRequest, call: CallOptions): Promise<RawResponse>;
  /** All headers of an upload but its condition: with a checksum, by which a cut one is refused. */
  uploadHeaders(upload: Upload, call: CallOptions): Promise<Record<string, string>> | Record<string, string>;
  /** The metadata fields of an answer, by the names that they have everywhere. */
  metadataFields(headers: ResponseHeaders): Record<string, string>;
  /** 404 is `chunk_missing` unless the bucket itself is missing; the rest is `store_unavailable`. */
  refusal(response: RawResponse, key: string): OrcaError;
  /** What a refused `If-None-Match: *` means: `again` = another is under way; undefined = it is not about the condition. */
  conditionOf(response: RawResponse): 'taken' | 'unsupported' | 'again' | undefined;
  /** Whether old versions of what is overwritten are kept; `key` is stored. Undefined = it does not say. */
  isVersioned(key: string, call: CallOptions): Promise<boolean | undefined>;
  close(): void;
}
