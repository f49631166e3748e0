/** The pod template of a cache. */
import { parseDuration } from '#crds/duration.ts';
import { ANNOTATION } from '#crds/names.ts';
import type { PodSecurityContext, PodSpec, PodTemplateSpec } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { container } from './container.ts';
import type { BuildContext } from './context.ts';
import { childLabels, childName } from './labels.ts';
import { affinity, topologySpread } from './placement.ts';
import { mounted } from './volumes.ts';

/** The user of the image. Set explicitly, so that volumes get the matching group and no image can run as root. */
const USER_ID = 10_001;

/** Time after the drain: the pod flushes its outbox (10 s), and the process exits. */
const FLUSH_SECONDS = 15;

const SECURITY: PodSecurityContext = {
  runAsNonRoot: true,
  runAsUser: USER_ID,
  runAsGroup: USER_ID,
  fsGroup: USER_ID,
  // Without this, the kubelet would change the group of every chunk on a shared volume at each pod start.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

export function podTemplate(cache: OrcaCache, context: BuildContext): PodTemplateSpec {
  const { pod } = cache.spec;
  return {
    metadata: {
      // The operator's labels win: Services, the Deployment and peer discovery select by them.
      labels: { ...pod.labels, ...childLabels(cache) },
      annotations: { ...pod.annotations, [ANNOTATION.configHash]: context.config.hash },
    },
    spec: podSpec(cache, context),
  };
}

function podSpec(cache: OrcaCache, context: BuildContext): PodSpec {
  const { pod } = cache.spec;
  const mounts = mounted(cache, context);
  const spread = affinity(cache);
  return {
    serviceAccountName: childName.account(cache),
    // The pods watch EndpointSlices to find their peers.
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    securityContext: (pod.securityContext as PodSecurityContext | undefined) ?? SECURITY,
    terminationGracePeriodSeconds: gracePeriodSeconds(cache),
    topologySpreadConstraints: topologySpread(cache),
    containers: [container(cache, context, mounts)],
    volumes: mounts.volumes,
    ...(spread === undefined ? {} : { affinity: spread }),
    ...(isEmpty(pod.nodeSelector) ? {} : { nodeSelector: { ...pod.nodeSelector } }),
    ...(isEmpty(pod.tolerations) ? {} : { tolerations: [...(pod.tolerations ?? [])] }),
    ...(isEmpty(pod.imagePullSecrets) ? {} : { imagePullSecrets: [...(pod.imagePullSecrets ?? [])] }),
    ...(pod.priorityClassName === undefined ? {} : { priorityClassName: pod.priorityClassName }),
  };
}

export function gracePeriodSeconds(cache: OrcaCache): number {
  const { propagationDelay, drainTimeout } = cache.spec.shutdown;
  return Math.ceil(seconds(propagationDelay) + seconds(drainTimeout)) + FLUSH_SECONDS;
}

/** The CRD schema admits only valid durations, so a failure here is a bug. */
function seconds(duration: string): number {
  const durationMs = parseDuration(duration);
  if (durationMs === undefined) throw new RangeError(`${JSON.stringify(duration)} is not a duration`);
  return durationMs / 1000;
}

function isEmpty(value: object | undefined): boolean {
  return value === undefined || Object.keys(value).length === 0;
}
