/** The URLs of a container's blobs. Pure. */
import { encodeKey } from '#cache/wire/s3/sigv4.ts';

export interface AzureAddressOptions {
  readonly account: string;
  /**
   * Empty = the account's endpoint in the public cloud. An endpoint whose host name lacks the account has it in its
   * path.
   */
  readonly endpoint: string;
}

export interface AzureAddress {
  /** `https://host[:port]`, without the path. */
  readonly base: string;
  readonly host: string;
  readonly isTls: boolean;
  /** Traffic does not leave the machine, so it can't be intercepted. */
  readonly isLoopback: boolean;
  /** The path of a blob, or of the container itself if `blob` is empty. */
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

/** Empty and dot segments would be normalized in transit: such a name is sent with encoded slashes, as one segment. */
function encodeBlob(blob: string): string {
  const encoded = encodeKey(blob);
  return /(?:^|\/)\.{0,2}(?:\/|$)/.test(blob) ? encoded.replaceAll('/', '%2F') : encoded;
}
