/** How far the Deployment is: the same rules as `kubectl rollout status`, and how many replicas are ready. */
import { conditionOf, type LiveDeployment } from '#operator/api/observed.ts';

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
  // Says why no pod could be made at all: a quota, an admission policy.
  const failure = conditionOf(status.conditions, 'ReplicaFailure');
  const suffix = failure?.status === 'True' && failure.message !== undefined ? `: ${failure.message}` : '';
  if (progress?.reason === 'ProgressDeadlineExceeded')
    return { kind: 'failed', message: `no progress for longer than the deadline${suffix}` };
  if (updatedReplicas < desiredReplicas)
    return {
      kind: 'progressing',
      message: `${updatedReplicas} of ${desiredReplicas} replicas have the newest configuration${suffix}`,
    };
  if (replicas > updatedReplicas)
    return { kind: 'progressing', message: `${previous(replicas - updatedReplicas)} still there` };
  // Once complete, a lost pod is no rollout any more.
  if (readyReplicas < desiredReplicas && progress?.reason !== 'NewReplicaSetAvailable')
    return { kind: 'progressing', message: readiness(readyReplicas, desiredReplicas) };
  return { kind: 'complete', readyReplicas };
}

/** While it scales down more are ready than are wanted; that is nobody's business. */
export function readiness(readyReplicas: number, desiredReplicas: number): string {
  return `${Math.min(readyReplicas, desiredReplicas)} of ${desiredReplicas} replicas are ready`;
}

/** How many pods of the previous configuration, with their verb. */
export function previous(replicas: number): string {
  return `${replicas} ${replicas === 1 ? 'replica' : 'replicas'} of the previous configuration ${replicas === 1 ? 'is' : 'are'}`;
}
