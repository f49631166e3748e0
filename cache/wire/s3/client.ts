/**
 * S3 requests over the raw client: addresses, signs and sends them, and parses common response fields. Interpreting a
 * status is left to the drivers.
 */
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import { untilAborted } from '#cache/wire/bounded.ts';
import { openCredentials, type CredentialsProvider, type CredentialsSource } from '#cache/wire/credentials-source.ts';
import { openHostClients } from '#cache/wire/http1/host-clients.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { RawRequest, RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { openTrust } from '#cache/wire/http1/trust.ts';
import { s3Address, type S3AddressOptions } from './address.ts';
import { createSigner } from './sigv4.ts';

export interface S3ClientOptions extends S3AddressOptions {
  readonly credentials: CredentialsSource;
  readonly caFile: string;
  /** Whether every request declares that its account pays for it. */
  readonly requesterPays?: boolean | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly maxIdle?: number | undefined;
  /** The environment that names HTTP proxies. Default: no proxy. */
  readonly env?: Env | undefined;
}

export interface S3Request {
  readonly method: NonNullable<RawRequest['method']>;
  readonly bucket: string;
  readonly key: string;
  /** Names and values must not need percent-encoding. */
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly sink?: ByteSink;
  /** The length of the body for the sink. */
  readonly expectedBytes?: number;
  readonly body?: readonly Uint8Array[];
  /** The maximum size of a body without a sink. Default 64 KiB. */
  readonly maxCollectedBytes?: number;
  readonly onHead?: (status: number, headers: ResponseHeaders) => void;
}

export interface S3Client {
  /** Rejects with WireError, an OrcaError for unavailable credentials, or what `onHead` threw. */
  send(request: S3Request, call: CallOptions): Promise<RawResponse>;
  close(): void;
}

/** Elements of an error document; empty if missing. */
export interface S3Fault {
  readonly code: string;
  readonly message: string;
  /** The bucket's region, and where it is served. */
  readonly region: string;
  readonly endpoint: string;
}

export const REQUESTER_PAYS = { 'x-amz-request-payer': 'requester' };

/** `provider` may be shared by clients of one server, so that credentials are requested once. */
export function openS3Client(options: S3ClientOptions, provider = openS3Credentials(options)): S3Client {
  const signer = createSigner(options.region);
  const address = s3Address(options);
  const secureContext = address.protocol === 'https:' ? openTrust(options.caFile) : undefined;
  const payer = options.requesterPays === true ? REQUESTER_PAYS : undefined;
  /** One host with path style; one for each bucket otherwise. */
  const clients = openHostClients({ ...options, protocol: address.protocol, secureContext });

  return {
    async send({ method, bucket, key, query = [], headers = {}, ...body }, call) {
      const provided = provider();
      const credentials = provided instanceof Promise ? await untilAborted(provided, call.signal) : provided;
      const { host, path } = address.of(bucket, key);
      const found = clients.of(host);
      const client = found instanceof Promise ? await untilAborted(found, call.signal) : found;
      const sent: Record<string, string> = { host: client.authority, ...headers, ...payer };
      const signed =
        credentials === undefined
          ? sent
          : signer.sign({ method, path, query, headers: sent, credentials, nowMs: Date.now() });
      if (call.requestId !== undefined) signed['x-request-id'] = call.requestId;
      const { signal, firstByteTimeoutMs, stallTimeoutMs } = call;
      return client.request({
        ...body,
        method,
        path: query.length === 0 ? path : `${path}?${query.map(([name, value]) => `${name}=${value}`).join('&')}`,
        headers: signed,
        signal,
        firstByteTimeoutMs,
        stallTimeoutMs,
      });
    },
    close: () => clients.close(),
  };
}

export function openS3Credentials({ credentials, region, env }: S3ClientOptions): CredentialsProvider {
  return openCredentials(credentials, { region, proxyEnv: env });
}

export function faultOf(body: Buffer): S3Fault {
  const text = body.toString('utf8');
  return {
    code: element(text, 'Code'),
    message: element(text, 'Message'),
    region: element(text, 'Region'),
    endpoint: element(text, 'Endpoint'),
  };
}

function element(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]{0,500})</${name}>`).exec(xml)?.[1] ?? '';
}

/** `Retry-After` in ms if it is a plain number of seconds. */
export function retryAfterMs(headers: ResponseHeaders): number | undefined {
  const text = headers['retry-after'];
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** A strong ETag without its quotes; undefined if it is missing or weak. */
export function strongEtag(headers: ResponseHeaders): string | undefined {
  const text = headers['etag'] ?? '';
  const quoted = /^"([^"]+)"$/.exec(text)?.[1];
  if (quoted !== undefined) return quoted;
  // Some servers send it without quotes.
  return /^(?!W\/)[\x21\x23-\x29\x2b-\x7e\x80-\xff]+$/.test(text) ? text : undefined;
}

/** `bytes a-b/total` as half-open numbers; undefined if it is anything else. */
export function contentRange(headers: ResponseHeaders): { from: number; to: number; totalBytes: number } | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(headers['content-range'] ?? '');
  if (match === null) return undefined;
  return { from: Number(match[1]), to: Number(match[2]) + 1, totalBytes: Number(match[3]) };
}
