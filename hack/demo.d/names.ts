/** Names that several modules of the demo share. */

export const OPERATOR_NAMESPACE = 'orcacache-system';
export const NAMESPACE = 'orca-demo';
/** Labels the namespaces that the demo created, and may therefore remove. */
export const DEMO_LABEL = { 'app.kubernetes.io/managed-by': 'orcacache-demo' } as const;
export const RELEASE = 'orcacache';
export const CACHE = 'models';
export const CRD = 'orcacaches.orcacache.dev';

export const ORIGIN_SECRET = 'origin-keys';
export const STORE_SECRET = 'store-keys';
export const ORIGIN_BUCKET = 'demo-origin';
export const STORE_BUCKET = 'orca-chunks';
/** The clients' name of the origin bucket. */
export const CLIENT_BUCKET = 'demo';

export const PORT = { s3: 7070, proxy: 7071, proxyNumbers: 7072, edge: 80, ops: 8442 } as const;
export const CACHE_SELECTOR = `app.kubernetes.io/name=orcacache,app.kubernetes.io/component=cache,app.kubernetes.io/instance=${CACHE}`;

const MIB = 1024 * 1024;
/** Small, so that objects have several chunks of both sizes. */
export const CHUNK_BYTES = 8 * MIB;
export const TIER = { minObjectBytes: 100 * MIB, chunkBytes: 16 * MIB } as const;
export const REPLICAS = 3;

export function chunkBytesOf(objectBytes: number): number {
  return objectBytes >= TIER.minObjectBytes ? TIER.chunkBytes : CHUNK_BYTES;
}

export function mib(bytes: number): string {
  return `${bytes / MIB}Mi`;
}
