/**
 * From a cache's spec to what its pods read: `config.yaml`, which is fixed for the life of a pod, and `runtime.yaml`,
 * whose keys pods take up while they run. The words stay the same; references become the paths they are mounted at.
 */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { MOUNT } from './names.ts';
import type { OrcaCacheSpec } from './types.ts';

/** A cache as far as its pods' configuration needs it. */
export type CacheWords = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: OrcaCacheSpec;
};

/** Hex digits of SHA-256 that name a configuration: 32 bits, for the few that one cache ever has. */
const HASH_LENGTH = 8;

/** The file of the pods; without the keys of `runtimeConfig`, so that changing those does not replace a pod. */
export function podConfig(cache: CacheWords): Record<string, unknown> {
  const { spec, metadata } = cache;
  const { targetGlobal: _reloaded, s3: originS3, azureBlob: originAzure, ...origin } = spec.origin;
  const { s3: storeS3, azureBlob: storeAzure, filesystem, ...cacheStore } = spec.cacheStore;
  const { readahead: _reloadedToo, ...chunking } = spec.chunking;
  const { service: _operators, auth, tls, ...edge } = spec.edge;
  return {
    origin: {
      ...origin,
      ...(originS3 === undefined ? {} : { s3: mounted(originS3, 'origin') }),
      ...(originAzure === undefined ? {} : { azureBlob: mounted(originAzure, 'origin') }),
    },
    cacheStore: {
      ...cacheStore,
      ...(storeS3 === undefined ? {} : { s3: mounted(storeS3, 'cachestore') }),
      ...(storeAzure === undefined ? {} : { azureBlob: mounted(storeAzure, 'cachestore') }),
      ...(filesystem === undefined ? {} : { filesystem: { path: MOUNT.filesystemStore } }),
    },
    chunking,
    metadata: spec.metadata,
    catalog: spec.catalog,
    memory: spec.memory,
    peers: {
      type: 'EndpointSlices',
      endpointSlices: { namespace: metadata.namespace, service: `${metadata.name}-peers` },
      auth: { directory: `${MOUNT.credentials}/peers` },
    },
    edge: {
      ...edge,
      auth:
        auth.secretRef === undefined
          ? { type: auth.type }
          : { type: auth.type, directory: `${MOUNT.credentials}/edge` },
      ...(tls === undefined ? {} : { tls: { directory: MOUNT.edgeTls } }),
    },
    shutdown: spec.shutdown,
    runtimeFile: MOUNT.runtime,
  };
}

/** The keys that pods reload. `provenConfigs` is the operator's to add. */
export function runtimeConfig(cache: CacheWords): Record<string, unknown> {
  const { logLevel, origin, chunking } = cache.spec;
  return { logLevel, origin: { targetGlobal: origin.targetGlobal }, chunking: { readahead: chunking.readahead } };
}

/** The text of `config.yaml` and its hash; equal specs give equal text, whatever the order of their keys. */
export function podConfigFile(cache: CacheWords): { readonly yaml: string; readonly hash: string } {
  const yaml = stringify(podConfig(cache), { sortMapEntries: true, lineWidth: 0 });
  return { yaml, hash: configHash(yaml) };
}

/** What a pod reports as its configuration and the operator calls it; of the file's exact bytes. */
export function configHash(file: string | Uint8Array): string {
  return createHash('sha256').update(file).digest('hex').slice(0, HASH_LENGTH);
}

type References = { readonly credentialsSecretRef?: object; readonly caBundleRef?: object };

function mounted(upstream: References, whose: 'origin' | 'cachestore'): Record<string, unknown> {
  const { credentialsSecretRef, caBundleRef, ...words } = upstream;
  return {
    ...words,
    ...(credentialsSecretRef === undefined ? {} : { credentials: { directory: `${MOUNT.credentials}/${whose}` } }),
    ...(caBundleRef === undefined ? {} : { caFile: `${MOUNT.ca}/${whose}/ca.crt` }),
  };
}
