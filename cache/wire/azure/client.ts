/**
 * Azure Blob requests over the raw client: addressed, authorised, sent; and small readers of what the service answers.
 * It gives no meaning to a status: the drivers do.
 */
import type { AzureCredentialsSource } from '#cache/config/config.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import { azureAddress, type AzureAddressOptions } from './address.ts';
import { openAzureCredentials, type AzureCredentials } from './credentials.ts';
import { sharedKeyAuthorization } from './shared-key.ts';
import { openHostClients } from '#cache/wire/http1/host-clients.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { RawRequest, RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { strongEtag } from '#cache/wire/s3/client.ts';
import { openTrust } from '#cache/wire/http1/trust.ts';

/** What all that is used here has been in for long, and the newest that Azurite knows. */
const VERSION = '2025-11-05';

export interface AzureClientOptions extends AzureAddressOptions {
  readonly credentials: AzureCredentialsSource;
  readonly caFile: string;
  readonly connectTimeoutMs?: number | undefined;
  readonly maxIdle?: number | undefined;
  /** Where HTTP proxies are named. Default: none are. */
  readonly env?: Env | undefined;
}

export interface AzureRequest {
  readonly method: NonNullable<RawRequest['method']>;
  readonly container: string;
  /** Empty = the container itself. */
  readonly blob?: string;
  /** Not encoded. */
  readonly query?: readonly (readonly [string, string])[];
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly sink?: ByteSink;
  readonly body?: readonly Uint8Array[];
  readonly onHead?: (status: number, headers: ResponseHeaders) => void;
  /** Bytes of a body that is collected; default 64 KiB. */
  readonly maxCollectedBytes?: number;
}

export interface AzureClient {
  /** Rejects with WireError, an OrcaError for credentials that can't be had or have expired, or what `onHead` threw. */
  send(request: AzureRequest, call: CallOptions): Promise<RawResponse>;
  close(): void;
}

export function openAzureClient(options: AzureClientOptions): AzureClient {
  const { account } = options;
  const address = azureAddress(options);
  const provider = openAzureCredentials(options.credentials, options.env === undefined ? {} : { env: options.env });
  const secureContext = address.isTls ? openTrust(options.caFile) : undefined;
  const clients = openHostClients({ ...options, protocol: address.isTls ? 'https:' : 'http:', secureContext });

  return {
    async send(
      { method, container, blob = '', query = [], headers = {}, sink, body, onHead, maxCollectedBytes },
      call,
    ) {
      const credentials = await provider();
      if (credentials.kind === 'bearer' && !address.isTls && !address.isLoopback)
        throw new OrcaError('internal', `a bearer token is sent over https only, not to ${address.base}`);
      const client = await clients.of(address.host);
      const path = address.pathOf(container, blob);
      const sent: Record<string, string> = {
        ...headers,
        'x-ms-date': new Date().toUTCString(),
        'x-ms-version': VERSION,
      };
      if (call.requestId !== undefined) sent['x-ms-client-request-id'] = call.requestId;
      if (credentials.kind === 'bearer') sent['authorization'] = `Bearer ${credentials.token}`;
      if (credentials.kind === 'shared-key') {
        const { key } = credentials;
        sent['authorization'] = sharedKeyAuthorization({ account, key, method, path, query, headers: sent });
      }
      const search = [
        ...query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`),
        ...(credentials.kind === 'sas' ? [credentials.query] : []),
      ].join('&');
      const { signal, firstByteTimeoutMs, stallTimeoutMs } = call;
      const response = await client.request({
        method,
        path: search === '' ? path : `${path}?${search}`,
        headers: sent,
        sink,
        body,
        onHead,
        maxCollectedBytes,
        signal,
        firstByteTimeoutMs,
        stallTimeoutMs,
      });
      if (response.status === 401 || response.status === 403) refuseExpired(credentials);
      return response;
    },
    close: () => clients.close(),
  };
}

/** The service says only that the signature does not fit. */
function refuseExpired(credentials: AzureCredentials): void {
  if (credentials.kind !== 'sas' || credentials.expiresMs === undefined || credentials.expiresMs > Date.now()) return;
  throw new OrcaError('internal', `the SAS token has expired at ${new Date(credentials.expiresMs).toISOString()}`);
}

/** Azure's error code; it is in the header also where there is no body. Empty where there is none. */
export function azureErrorCode({ headers, body }: Pick<RawResponse, 'headers' | 'body'>): string {
  return headers['x-ms-error-code'] ?? /<Code>([^<]{1,100})<\/Code>/.exec(body.toString('utf8'))?.[1] ?? '';
}

const SUFFIX = '-1';

/**
 * Azure's ETag as an S3 client's: with a `-` behind it nobody takes it for the body's MD5. Undefined where there is none,
 * or only a weak one.
 */
export function s3EtagOf(headers: ResponseHeaders): string | undefined {
  const etag = strongEtag(headers);
  return etag === undefined ? undefined : asS3Etag(etag);
}

/** Of an unquoted one. */
export function asS3Etag(azure: string): string {
  return azure + SUFFIX;
}

/** The inverse; what did not come from us stays as it is, and matches nothing. */
export function asAzureEtag(etag: string): string {
  return etag.endsWith(SUFFIX) ? etag.slice(0, -SUFFIX.length) : etag;
}
