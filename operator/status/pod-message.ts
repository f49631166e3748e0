/** Why a pod is not ready, in its own words or in the kubelet's. */
import { conditionOf, isReady, type ContainerStatus, type LivePod } from '#operator/api/observed.ts';

/** Enough for the last lines of a log; conditions are read in terminals. */
const MAX_LENGTH = 600;

/** Of the newest pod that is not ready; `pods` come newest first. */
export function podMessage(pods: readonly LivePod[]): string | undefined {
  const pod = pods.find((candidate) => !isReady(candidate) && candidate.metadata.deletionTimestamp === undefined);
  if (pod === undefined) return undefined;
  const text = `pod ${pod.metadata.name}: ${reasonOf(pod)}`;
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text;
}

function reasonOf(pod: LivePod): string {
  const scheduled = conditionOf(pod.status?.conditions, 'PodScheduled');
  if (scheduled?.status === 'False') return join(scheduled.reason, scheduled.message);
  for (const container of pod.status?.containerStatuses ?? []) {
    const reason = containerReason(container);
    if (reason !== undefined) return reason;
  }
  return 'running but not ready';
}

/** A container that crashes waits in between; what it said when it ended tells more than "CrashLoopBackOff". */
function containerReason({ state, lastState }: ContainerStatus): string | undefined {
  const ended = state?.terminated ?? lastState?.terminated;
  const { waiting } = state ?? {};
  if (ended !== undefined) {
    const exit =
      ended.exitCode === undefined ? ended.reason : `${ended.reason ?? 'ended'} (exit code ${ended.exitCode})`;
    return join(waiting?.reason, join(exit, ended.message));
  }
  if (waiting === undefined || waiting.reason === 'ContainerCreating') return waiting?.reason;
  return join(waiting.reason, waiting.message);
}

function join(...parts: readonly (string | undefined)[]): string {
  return parts.flatMap((part) => (part === undefined || part.trim() === '' ? [] : part.trim())).join(': ');
}
