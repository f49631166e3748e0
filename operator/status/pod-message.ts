/** Why a pod is not ready: in its own words, else in the kubelet's. */
import { conditionOf, isReady, type ContainerStatus, type LivePod, type PodReport } from '#operator/api/observed.ts';

/** Enough for the last lines of a log; conditions are read in terminals. */
const MAX_LENGTH = 600;

/** The newest pod that is not ready; `pods` come newest first. */
export function unreadyPod(pods: readonly LivePod[]): LivePod | undefined {
  return pods.find((pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined);
}

/** Undefined where nobody says anything: a pod that is just starting. */
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

/** A container that crashes waits in between; what it said when it ended tells more than "CrashLoopBackOff". */
function containerReason({ state, lastState }: ContainerStatus): string | undefined {
  const ended = state?.terminated ?? lastState?.terminated;
  const { waiting } = state ?? {};
  if (ended !== undefined) {
    const exit =
      ended.exitCode === undefined ? ended.reason : `${ended.reason ?? 'ended'} (exit code ${ended.exitCode})`;
    return join(waiting?.reason, join(exit, ended.message));
  }
  return waiting === undefined || waiting.message === undefined ? undefined : join(waiting.reason, waiting.message);
}

function join(...parts: readonly (string | undefined)[]): string {
  return parts.flatMap((part) => (part === undefined || part.trim() === '' ? [] : part.trim())).join(': ');
}
