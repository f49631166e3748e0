/** Computes the status of a cache. */
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { edgeUrl } from '#operator/resources/edge-service.ts';
import { selectorLabels, selectorText } from '#operator/resources/labels.ts';
import { cacheStoreStatus } from './cache-store-usage.ts';
import { conditionsOf } from './conditions.ts';
import type { StatusInput } from './status-input.ts';

export function statusOf(input: StatusInput, version: string, nowMs: number): OrcaCacheStatus {
  const { cache, deployment, configHash } = input;
  const { replicas = 0, readyReplicas = 0, updatedReplicas = 0 } = deployment?.status ?? {};
  const cacheStore = cacheStoreStatus(cache, input.reports, nowMs);
  return {
    observedGeneration: cache.metadata.generation,
    replicas,
    readyReplicas,
    updatedReplicas,
    selector: selectorText(selectorLabels(cache)),
    endpoint: edgeUrl(cache),
    configHash,
    version,
    ...(cacheStore !== undefined && { cacheStore }),
    conditions: conditionsOf(input, nowMs),
  };
}
