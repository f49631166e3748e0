/** Lets node drains take one replica at a time, and broken ones always: a pod that is not ready must not hold a node. */
import type { Body, PodDisruptionBudget } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

/** A budget over a single replica would either do nothing or hold every drain. */
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
