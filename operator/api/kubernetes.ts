/**
 * Types of built-in kinds, for the compiler only. Builders are checked field by field against the published models;
 * the client library is not loaded at run time.
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

/**
 * The published models call the field `_from`, which their library serializes as `from`; the operator sends plain JSON.
 */
export interface NetworkPolicy {
  readonly spec: Omit<V1NetworkPolicySpec, 'ingress'> & {
    readonly ingress: readonly (Omit<V1NetworkPolicyIngressRule, '_from'> & {
      readonly from?: readonly V1NetworkPolicyPeer[];
    })[];
  };
}

/** The fields of a kind that `Manifest` does not declare. */
export type Body<Kind> = Omit<Kind, 'apiVersion' | 'kind' | 'metadata'>;
