/** Where a container's blobs are on the wire. Pure. */
import { encodeKey } from '#cache/wire/s3/sigv4.ts';

export interface AzureAddressOptions {
  readonly account: string;
  /** Empty = the public cloud's for the account. Has the account in its path where the host's name does not say it. */
  readonly endpoint: string;
}

export interface AzureAddress {
  /** `https://host[:port]`, without the path. */
  readonly base: string;
  readonly host: string;
  readonly isTls: boolean;
  /** Nobody else can listen on the way there. */
  readonly isLoopback: boolean;
  /** Of the container itself, where `blob` is empty. */
  pathOf(container: string, blob: string): string;
}

export function azureAddress({ account, endpoint }: AzureAddressOptions): AzureAddress {
  const base = new URL(endpoint === '' ? `https://${account}.blob.core.windows.net` : endpoint);
  const basePath = base.pathname.replace(/\/$/, '');
  return {
    base: base.origin,
    host: base.host,
    isTls: base.protocol === 'https:',
    isLoopback: isLoopbackHost(base.hostname),
    pathOf: (container, blob) =>
      `${basePath}/${encodeURIComponent(container)}${blob === '' ? '' : `/${encodeBlob(blob)}`}`,
  };
}

export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Segments of dots and empty ones would be resolved on the way: then slashes are part of one segment. */
function encodeBlob(blob: string): string {
  const encoded = encodeKey(blob);
  return /(?:^|\/)\.{0,2}(?:\/|$)/.test(blob) ? encoded.replaceAll('/', '%2F') : encoded;
}
