/**
 * The shapes of built-in kinds, for the compiler only: builders are checked field by field against the published
 * models, and nothing of the client library is loaded by them.
 */
import type { V1NetworkPolicyIngressRule, V1NetworkPolicyPeer, V1NetworkPolicySpec } from '@kubernetes/client-node';

export type {
  V1Affinity as Affinity,
  V1ConfigMap as ConfigMap,
  V1Container as Container,
  V1Deployment as Deployment,
  V1DeploymentSpec as DeploymentSpec,
  V1EnvVar as EnvVar,
  V1PodDisruptionBudget as PodDisruptionBudget,
  V1PodSecurityContext as PodSecurityContext,
  V1PodSpec as PodSpec,
  V1PodTemplateSpec as PodTemplateSpec,
  V1Role as Role,
  V1RoleBinding as RoleBinding,
  V1Secret as Secret,
  V1SecurityContext as SecurityContext,
  V1Service as Service,
  V1ServiceAccount as ServiceAccount,
  V1TopologySpreadConstraint as TopologySpreadConstraint,
  V1Volume as Volume,
  V1VolumeMount as VolumeMount,
} from '@kubernetes/client-node';

/** The published models say `_from`, which is what their library turns into `from`; we send JSON as it stands. */
export interface NetworkPolicy {
  readonly spec: Omit<V1NetworkPolicySpec, 'ingress'> & {
    readonly ingress: readonly (Omit<V1NetworkPolicyIngressRule, '_from'> & {
      readonly from?: readonly V1NetworkPolicyPeer[];
    })[];
  };
}

/** A kind without what `Manifest` already says of it. */
export type Body<Kind> = Omit<Kind, 'apiVersion' | 'kind' | 'metadata'>;
