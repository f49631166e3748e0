/** Where pods go: apart from each other, over nodes and zones, as strictly as the cache asks. */
import type { Affinity, TopologySpreadConstraint } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { selectorLabels } from './labels.ts';

const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
/**
 * Only pods of the same ReplicaSet count: during a rollout the surge pod has to fit beside those it replaces, on a
 * cluster that has as many nodes as replicas.
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

/** The user's constraints replace ours; ours only prefer, so they never keep a pod from running. */
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
