/** The progress of the Deployment, by the rules of `kubectl rollout status`, and the number of ready replicas. */
import { conditionOf, type LiveDeployment } from '#operator/api/observed.ts';
import { withRemedy } from './creation-failure.ts';

export type Rollout =
  | { readonly kind: 'progressing'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'complete'; readonly readyReplicas: number };

export function rolloutOf(deployment: LiveDeployment | undefined, desiredReplicas: number): Rollout {
  if (deployment === undefined) return { kind: 'progressing', message: 'the Deployment does not exist yet' };
  const { status = {}, metadata } = deployment;
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0))
    return { kind: 'progressing', message: 'a change is being rolled out' };
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status;
  const progress = conditionOf(status.conditions, 'Progressing');
  // Why no pod could be created at all, such as a quota or an admission policy.
  const failure = conditionOf(status.conditions, 'ReplicaFailure');
  const suffix = failure?.status === 'True' && failure.message !== undefined ? `: ${withRemedy(failure.message)}` : '';
  if (progress?.reason === 'ProgressDeadlineExceeded')
    return { kind: 'failed', message: `no rollout progress within the deadline${suffix}` };
  if (updatedReplicas < desiredReplicas)
    return {
      kind: 'progressing',
      message: `${updatedReplicas} of ${desiredReplicas} replicas have the latest configuration${suffix}`,
    };
  if (replicas > updatedReplicas) return { kind: 'progressing', message: previousRunning(replicas - updatedReplicas) };
  // After a complete rollout, a lost pod is not a rollout.
  if (readyReplicas < desiredReplicas && progress?.reason !== 'NewReplicaSetAvailable')
    return { kind: 'progressing', message: readiness(readyReplicas, desiredReplicas) };
  return { kind: 'complete', readyReplicas };
}

/** While the Deployment scales down, more replicas than desired are ready; the message does not count them. */
export function readiness(readyReplicas: number, desiredReplicas: number): string {
  return `${Math.min(readyReplicas, desiredReplicas)} of ${desiredReplicas} replicas are ready`;
}

export function previousRunning(replicas: number): string {
  return replicas === 1
    ? '1 replica with the previous configuration is still running'
    : `${replicas} replicas with the previous configuration are still running`;
}
