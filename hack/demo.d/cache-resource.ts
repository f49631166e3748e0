/** The OrcaCache that the demo applies, with chunks so small that most objects have several. */
import type { KubeObject } from './kubectl.ts';
import {
  CACHE,
  CHUNK_BYTES,
  CLIENT_BUCKET,
  mib,
  NAMESPACE,
  ORIGIN_BUCKET,
  ORIGIN_SECRET,
  PORT,
  REPLICAS,
  STORE_BUCKET,
  STORE_SECRET,
  TIER,
} from './names.ts';

export function cacheResource(): KubeObject {
  return {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaCache',
    metadata: { name: CACHE, namespace: NAMESPACE },
    spec: {
      replicas: REPLICAS,
      origin: {
        id: 'demo',
        type: 'S3',
        s3: {
          // The proxy counts the requests to the origin.
          endpoint: `http://origin-proxy.${NAMESPACE}.svc:${PORT.proxy}`,
          forcePathStyle: true,
          credentialsSecretRef: { name: ORIGIN_SECRET },
        },
        buckets: [{ name: CLIENT_BUCKET, originBucket: ORIGIN_BUCKET }],
        // The origin is one small server that shares the cores of this machine with all other processes.
        targetGlobal: 24,
      },
      cacheStore: {
        type: 'S3',
        s3: {
          endpoint: `http://store.${NAMESPACE}.svc:${PORT.s3}`,
          bucket: STORE_BUCKET,
          forcePathStyle: true,
          credentialsSecretRef: { name: STORE_SECRET },
        },
      },
      chunking: {
        size: mib(CHUNK_BYTES),
        tiers: [{ minObjectSize: mib(TIER.minObjectBytes), chunkSize: mib(TIER.chunkBytes) }],
      },
    },
  };
}
