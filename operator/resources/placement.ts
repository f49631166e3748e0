/** Anti-affinity and topology spread: pods are spread over nodes and zones, as strictly as the spec demands. */
import type { Affinity, TopologySpreadConstraint } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { selectorLabels } from './labels.ts';

const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
/**
 * Only pods of the same ReplicaSet count. Otherwise a rollout could not schedule its surge pod beside the pods that it
 * replaces on a cluster with as many nodes as replicas.
 */
const SAME_ROLLOUT = ['pod-template-hash'];

export function affinity(cache: OrcaCache): Affinity | undefined {
  const term = {
    labelSelector: { matchLabels: selectorLabels(cache) },
    matchLabelKeys: SAME_ROLLOUT,
    topologyKey: HOSTNAME,
  };
  const mode = cache.spec.availability.antiAffinity;
  if (mode === 'None') return undefined;
  if (mode === 'Required') return { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  return {
    podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] },
  };
}

/** The user's constraints replace the defaults. The defaults are preferences, so they never keep a pod unscheduled. */
export function topologySpread(cache: OrcaCache): TopologySpreadConstraint[] {
  const samePods = { labelSelector: { matchLabels: selectorLabels(cache) }, matchLabelKeys: SAME_ROLLOUT };
  const own = cache.spec.pod.topologySpreadConstraints ?? [];
  if (own.length > 0) return own.map((constraint) => ({ ...constraint, ...samePods }));
  const keys = cache.spec.availability.antiAffinity === 'None' ? [ZONE] : [ZONE, HOSTNAME];
  return keys.map((topologyKey) => ({
    topologyKey,
    maxSkew: 1,
    whenUnsatisfiable: 'ScheduleAnyway',
    nodeTaintsPolicy: 'Honor',
    ...samePods,
  }));
}
