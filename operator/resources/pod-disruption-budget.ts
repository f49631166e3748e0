/**
 * Allows node drains to evict one replica at a time, and unready replicas always: an unready pod must not block a
 * drain.
 */
import type { Body, PodDisruptionBudget } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

/** For a single replica a budget would either have no effect or block every drain. */
export function wantsPodDisruptionBudget(cache: OrcaCache): boolean {
  const { replicas, availability } = cache.spec;
  return availability.podDisruptionBudget && replicas > 1;
}

export function podDisruptionBudget(cache: OrcaCache) {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMetadata(cache, childName.workload(cache)),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorLabels(cache) },
    },
  } satisfies Manifest & Body<PodDisruptionBudget>;
}
