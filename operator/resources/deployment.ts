/** The Deployment of the cache pods, with its rollout strategy. */
import type { Body, Deployment } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';
import { withOverlay } from './pod-overlay.ts';
import { podTemplate } from './pod-template.ts';

/** A rollout in which no pod becomes ready for this long counts as failed, and the status reports the cause. */
const PROGRESS_DEADLINE_SECONDS = 120;
/** Enough to inspect earlier revisions. Each of them keeps its ConfigMap alive. */
const REVISION_HISTORY = 3;

export function deployment(cache: OrcaCache, context: BuildContext) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMetadata(cache, childName.workload(cache)),
    spec: {
      // Autoscalers scale the OrcaCache, not the Deployment. Because of the CRD default, the operator always sets this.
      replicas: cache.spec.replicas,
      selector: { matchLabels: selectorLabels(cache) },
      // Surge first: a terminated pod loses its memory tier, and a broken change must not remove a working pod.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: PROGRESS_DEADLINE_SECONDS,
      revisionHistoryLimit: REVISION_HISTORY,
      template: withOverlay(podTemplate(cache, context), cache),
    },
  } satisfies Manifest & Body<Deployment>;
}
