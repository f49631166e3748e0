/** Deletes children that are no longer desired. */
import { childPath, type Manifest } from '#operator/api/manifest.ts';
import type { LiveDeployment, PodTemplate } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { Api } from './api.ts';
import type { Observed, ObservedChild } from './observe.ts';
import { claimOn } from './ownership.ts';

/** Children that are ours and not desired, except config files that a ReplicaSet still references. Pure. */
export function plannedDeletions(
  cache: OrcaCache,
  desired: readonly Manifest[],
  observed: Observed,
  deployment: LiveDeployment | undefined,
): ObservedChild[] {
  const wanted = new Set(desired.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  const templates = [...observed.replicaSets, ...(deployment === undefined ? [] : [deployment])];
  for (const { spec } of templates) for (const name of configMapsOf(spec.template)) wanted.add(`ConfigMap/${name}`);
  return observed.children.filter(
    ({ kind, live }) =>
      !wanted.has(`${kind}/${live.metadata.name}`) &&
      live.metadata.deletionTimestamp === undefined &&
      claimOn(live, cache) === 'ours',
  );
}

export async function prune(api: Api, cache: OrcaCache, deletions: readonly ObservedChild[]): Promise<void> {
  for (const { kind, live } of deletions) {
    const { name, uid } = live.metadata;
    api.log.info('deleting obsolete child', { kind, child: name });
    try {
      await api.write('DELETE', childPath(kind, cache.metadata.namespace, name), {
        // The uid protects a new object of the same name that was created since the list.
        body: { preconditions: { uid }, propagationPolicy: 'Background' },
      });
    } catch (error) {
      if (!hasStatus(error, 404, 409)) throw error;
    }
  }
}

function configMapsOf(template: PodTemplate): string[] {
  return (template.spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
}
