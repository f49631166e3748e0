/** The URLs of a bucket's keys: path-style, or virtual-hosted with the bucket in the host name. Pure. */
import { encodeKey } from './sigv4.ts';

export interface S3AddressOptions {
  /** Empty = AWS's endpoint for the region. May contain a base path. */
  readonly endpoint: string;
  readonly region: string;
  readonly forcePathStyle: boolean;
}

export interface S3Address {
  /** `http:` or `https:`. */
  readonly protocol: string;
  of(bucket: string, key: string): { readonly host: string; readonly path: string };
}

export function s3Address({ endpoint, region, forcePathStyle }: S3AddressOptions): S3Address {
  const base = new URL(endpoint === '' ? awsEndpoint(region) : endpoint);
  const basePath = base.pathname.replace(/\/$/, '');
  // A wildcard certificate covers a single label, so buckets with dots use path style, as in the SDKs.
  const byPath = (bucket: string): boolean => forcePathStyle || (base.protocol === 'https:' && bucket.includes('.'));
  return {
    protocol: base.protocol,
    of: (bucket, key) =>
      byPath(bucket)
        ? { host: base.host, path: `${basePath}/${encodeKey(bucket)}/${encodeKey(key)}` }
        : { host: `${bucket}.${base.host}`, path: `${basePath}/${encodeKey(key)}` },
  };
}

function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}
