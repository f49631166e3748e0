/** Explains why a pod is not ready, from the pod's own report or, without one, from its Kubernetes status. */
import { conditionOf, isReady, type ContainerStatus, type LivePod, type PodReport } from '#operator/api/observed.ts';

/** Room for the last lines of a log; conditions are read in terminals. */
const MAX_LENGTH = 600;

/** The newest pod that is neither ready nor being deleted. `pods` are sorted newest first. */
export function unreadyPod(pods: readonly LivePod[]): LivePod | undefined {
  return pods.find((pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined);
}

/** Undefined if no cause is known, as for a pod that is starting. */
export function podMessage(pod: LivePod, report: PodReport | undefined): string | undefined {
  const reason = report?.failing.join('; ') || kubeletReason(pod);
  if (reason === undefined || reason === '') return undefined;
  const text = `pod ${pod.metadata.name}: ${reason}`;
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text;
}

function kubeletReason(pod: LivePod): string | undefined {
  const scheduled = conditionOf(pod.status?.conditions, 'PodScheduled');
  if (scheduled?.status === 'False') return join(scheduled.reason, scheduled.message);
  for (const container of pod.status?.containerStatuses ?? []) {
    const reason = containerReason(container);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * Prefers the termination message: it explains more than "CrashLoopBackOff", which only describes the wait between
 * restarts.
 */
function containerReason({ state, lastState }: ContainerStatus): string | undefined {
  const terminated = state?.terminated ?? lastState?.terminated;
  const { waiting } = state ?? {};
  if (terminated !== undefined) {
    const { exitCode, reason } = terminated;
    const exit = exitCode === undefined ? reason : `${reason ?? 'ended'} (exit code ${exitCode})`;
    return join(waiting?.reason, join(exit, terminated.message));
  }
  return waiting === undefined || waiting.message === undefined ? undefined : join(waiting.reason, waiting.message);
}

function join(...parts: readonly (string | undefined)[]): string {
  return parts.flatMap((part) => (part === undefined || part.trim() === '' ? [] : part.trim())).join(': ');
}
