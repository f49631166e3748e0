/**
 * Converts a cache's spec to the files of its pods: `config.yaml`, which is fixed for the life of a pod, and
 * `runtime.yaml`, whose keys running pods reload. Field names stay the same; references become mount paths.
 */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { withMountPaths } from '#crds/kinds/kind.ts';
import { ORIGIN_KINDS, STORE_KINDS } from '#crds/kinds/registry.ts';
import { workerCount } from '#crds/schema/workers.ts';
import { MOUNT } from './names.ts';
import type { OrcaCacheSpec } from './types.ts';

/** The parts of a cache that determine the configuration of its pods. */
export type PodConfigSource = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: OrcaCacheSpec;
};

/** Hex digits of SHA-256 that identify a configuration: 32 bits are enough for the few that one cache ever has. */
const HASH_LENGTH = 8;

/** The content of `config.yaml`, without the keys of `runtimeConfig`, so that changing those does not replace a pod. */
export function podConfig(cache: PodConfigSource): Record<string, unknown> {
  const { spec, metadata } = cache;
  const { targetGlobal: _reloadable, ...origin } = spec.origin;
  const { readahead: _reloadableToo, ...chunking } = spec.chunking;
  const { kind: cacheStore } = splitStore(spec.cacheStore);
  const { service: _operatorOnly, auth, tls, ...edge } = spec.edge;
  const workers = workerCount(spec);
  return {
    origin: withMountPaths(ORIGIN_KINDS, origin, 'origin'),
    cacheStore: withMountPaths(STORE_KINDS, cacheStore, 'cachestore'),
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
    prewarms: { namespace: metadata.namespace, cache: metadata.name },
    ...(spec.telemetry === undefined ? {} : { telemetry: spec.telemetry }),
    ...(spec.costs === undefined ? {} : { costs: spec.costs }),
    // Omitted if 1, so that pods with an image of an older release accept the file.
    ...(workers === 1 ? {} : { workers }),
    runtimeFile: MOUNT.runtime,
  };
}

/** The keys that running pods reload. The operator adds `provenConfigs`. */
export function runtimeConfig(cache: PodConfigSource): Record<string, unknown> {
  const { logLevel, origin, chunking } = cache.spec;
  return {
    logLevel,
    origin: { targetGlobal: origin.targetGlobal },
    chunking: { readahead: chunking.readahead },
    cacheStore: splitStore(cache.spec.cacheStore).limits,
  };
}

/** The limits of the cachestore, which running pods reload, and all other keys. */
function splitStore(cacheStore: OrcaCacheSpec['cacheStore']) {
  const { capacity, highWatermark, lowWatermark, maxIdle, minAge, maxPinned, sweepInterval, ...kind } = cacheStore;
  const limits = {
    ...(capacity !== undefined && { capacity }),
    highWatermark,
    lowWatermark,
    ...(maxIdle !== undefined && { maxIdle }),
    minAge,
    maxPinned,
    sweepInterval,
  };
  return { limits, kind };
}

/** The text of `config.yaml` and its hash. Equal specs give equal text, regardless of the order of their keys. */
export function podConfigFile(cache: PodConfigSource): { readonly yaml: string; readonly hash: string } {
  const yaml = stringify(podConfig(cache), { sortMapEntries: true, lineWidth: 0 });
  return { yaml, hash: configHash(yaml) };
}

/** Identifies a configuration in pod reports and annotations; computed from the exact bytes of the file. */
export function configHash(file: string | Uint8Array): string {
  return createHash('sha256').update(file).digest('hex').slice(0, HASH_LENGTH);
}
