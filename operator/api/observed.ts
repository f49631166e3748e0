/** What the operator reads of the workload that others write: Deployments, ReplicaSets and Pods, as far as it looks. */
import type { Live } from './manifest.ts';

export interface LiveDeployment extends Live {
  readonly spec: { readonly replicas?: number; readonly template: PodTemplate };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly conditions?: readonly WorkloadCondition[];
  };
}

export interface LiveReplicaSet extends Live {
  readonly spec: { readonly replicas?: number; readonly template: PodTemplate };
}

export interface LivePod extends Live {
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly WorkloadCondition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** What a pod says of itself on its ops listener, as far as it is of a version that says it. */
export interface PodReport {
  /** `<check>: <message>` of what keeps it from being ready. */
  readonly failing: readonly string[];
  /** By the bucket's name at the edge; undefined where it says nothing of them. */
  readonly buckets: readonly BucketReport[] | undefined;
  /** The origin's own names of buckets that are not asked any more for now. */
  readonly brokenBuckets: readonly string[];
  readonly store: StoreReport | undefined;
  /** Another cache's origin is registered under this one's id: why, in a line. */
  readonly identityConflict: string | undefined;
  /** What is wrong with its runtime file, one line each; undefined where it says nothing of it. */
  readonly runtimeProblems: readonly string[] | undefined;
}

export interface BucketReport {
  readonly name: string;
  readonly state: string;
  readonly message: string;
}

export interface StoreReport {
  readonly breaker: string;
  readonly full: boolean;
  readonly condition: string;
  readonly message: string;
  readonly problems: readonly string[];
  readonly versioned: boolean;
}

export interface NamedReport {
  readonly pod: string;
  readonly report: PodReport;
}

export interface PodTemplate {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly volumes?: readonly { readonly name: string; readonly configMap?: { readonly name?: string } }[];
  };
}

export interface WorkloadCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
}

export function conditionOf(
  conditions: readonly WorkloadCondition[] | undefined,
  type: string,
): WorkloadCondition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isReady(pod: LivePod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined && conditionOf(pod.status?.conditions, 'Ready')?.status === 'True'
  );
}
