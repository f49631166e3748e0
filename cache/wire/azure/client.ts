/**
 * Azure Blob requests over the raw client: addresses, authorizes and sends them, and parses common response fields.
 * Interpreting a status is left to the drivers.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import { untilAborted } from '#cache/wire/bounded.ts';
import { openHostClients } from '#cache/wire/http1/host-clients.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { RawRequest, RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { openTrust } from '#cache/wire/http1/trust.ts';
import { strongEtag } from '#cache/wire/s3/client.ts';
import { azureAddress, type AzureAddressOptions } from './address.ts';
import { openAzureCredentials, type AzureCredentials, type AzureCredentialsSource } from './credentials.ts';
import { sharedKeyAuthorization } from './shared-key.ts';

/** The newest version that Azurite supports; everything used here is older. */
const VERSION = '2025-11-05';

export interface AzureClientOptions extends AzureAddressOptions {
  readonly credentials: AzureCredentialsSource;
  readonly caFile: string;
  readonly connectTimeoutMs?: number | undefined;
  readonly maxIdle?: number | undefined;
  /** The environment that names HTTP proxies. Default: no proxy. */
  readonly env?: Env | undefined;
}

export interface AzureRequest {
  readonly method: NonNullable<RawRequest['method']>;
  readonly container: string;
  /** Empty = the container itself. */
  readonly blob?: string;
  /** Not percent-encoded. */
  readonly query?: readonly (readonly [string, string])[];
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly sink?: ByteSink;
  /** The length of the body for the sink. */
  readonly expectedBytes?: number;
  readonly body?: readonly Uint8Array[];
  readonly onHead?: (status: number, headers: ResponseHeaders) => void;
  /** The maximum size of a collected body; default 64 KiB. */
  readonly maxCollectedBytes?: number;
}

export interface AzureClient {
  /** Rejects with WireError, an OrcaError for unavailable or expired credentials, or what `onHead` threw. */
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
      { method, container, blob = '', query = [], headers = {}, sink, expectedBytes, body, onHead, maxCollectedBytes },
      call,
    ) {
      const provided = provider();
      const credentials = provided instanceof Promise ? await untilAborted(provided, call.signal) : provided;
      if (credentials.kind === 'bearer' && !address.isTls && !address.isLoopback)
        throw new OrcaError(
          'internal',
          `a bearer token is sent only over https, not to ${address.base}: use an https:// endpoint`,
        );
      const found = clients.of(address.host);
      const client = found instanceof Promise ? await untilAborted(found, call.signal) : found;
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
        expectedBytes,
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

/** The service reports an expired token only as a signature mismatch. */
function refuseExpired(credentials: AzureCredentials): void {
  if (credentials.kind !== 'sas' || credentials.expiresMs === undefined || credentials.expiresMs > Date.now()) return;
  throw new OrcaError('internal', `the SAS token expired at ${new Date(credentials.expiresMs).toISOString()}`);
}

/** Azure's error code, or ''. The header carries it even without a body. */
export function azureErrorCode({ headers, body }: Pick<RawResponse, 'headers' | 'body'>): string {
  return headers['x-ms-error-code'] ?? /<Code>([^<]{1,100})<\/Code>/.exec(body.toString('utf8'))?.[1] ?? '';
}

const SUFFIX = '-1';

/**
 * Azure's ETag for S3 clients: the `-1` suffix keeps clients from taking it for the body's MD5. Undefined if there is
 * no ETag, or only a weak one.
 */
export function s3EtagOf(headers: ResponseHeaders): string | undefined {
  const etag = strongEtag(headers);
  return etag === undefined ? undefined : asS3Etag(etag);
}

/** `azure` is unquoted. */
export function asS3Etag(azure: string): string {
  return azure + SUFFIX;
}

/** The inverse. An ETag that this cache did not produce is left unchanged, and matches nothing. */
export function asAzureEtag(etag: string): string {
  return etag.endsWith(SUFFIX) ? etag.slice(0, -SUFFIX.length) : etag;
}
