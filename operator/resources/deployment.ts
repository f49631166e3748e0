/** The replicas, and how one set of them is exchanged for another. */
import type { Body, Deployment } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';
import { podTemplate } from './pod-template.ts';

/** Without a pod getting ready for so long a rollout counts as failed, and the status says why. */
const PROGRESS_DEADLINE_SECONDS = 120;
/** Enough to see what ran before; each keeps its ConfigMap alive. */
const REVISION_HISTORY = 3;

export function deployment(cache: OrcaCache, context: BuildContext) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMetadata(cache, childName.workload(cache)),
    spec: {
      // An autoscaler scales the cache, not the Deployment: the schema's default makes this number always ours.
      replicas: cache.spec.replicas,
      selector: { matchLabels: selectorLabels(cache) },
      // One more before one less: what a pod holds in memory is lost with it, and a broken change takes none away.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: PROGRESS_DEADLINE_SECONDS,
      revisionHistoryLimit: REVISION_HISTORY,
      template: podTemplate(cache, context),
    },
  } satisfies Manifest & Body<Deployment>;
}
