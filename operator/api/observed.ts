/**
 * The fields that the operator reads from Deployments, ReplicaSets and Pods, and the reports of the pods themselves.
 */
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

/**
 * A cache pod's report from `/status` on its ops listener. Fields that the pod's version does not report are undefined.
 */
export interface PodReport {
  /** `<check>: <message>` for each failing readiness check. */
  readonly failing: readonly string[];
  /** One entry per bucket, by its name at the edge. */
  readonly buckets: readonly BucketReport[] | undefined;
  /** Origin buckets whose circuit breaker is not closed, by their name at the origin. */
  readonly brokenBuckets: readonly string[];
  readonly store: StoreReport | undefined;
  /** Set when the cachestore holds this origin id for a different origin: one line that names both. */
  readonly identityConflict: string | undefined;
  /** What is in the cachestore, as the replica that adds it up last told this pod. */
  readonly capacity: CapacityReport | undefined;
  /** Problems in its runtime file, one line each. */
  readonly runtimeProblems: readonly string[] | undefined;
  /** Empty if the pod's version does not report them. */
  readonly workers: readonly WorkerReport[];
}

/** One of the processes of a pod. */
export interface WorkerReport {
  readonly index: number;
  /** How often it has ended unexpectedly since the container was started. */
  readonly restarts: number;
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
  /** File operations that do not return. */
  readonly hung: number;
}

export interface CapacityReport {
  /** `counting` (not all of the store has been listed), `ok`, `evicting`, `over_capacity` or `full`. */
  readonly state: string;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  /** Undefined = no limit. */
  readonly capacityBytes: number | undefined;
  readonly foreignBytes: number;
  readonly oldestReadMs: number | undefined;
  /** The end of the newest and of the oldest sweep of a part of the store. */
  readonly lastSweepMs: number | undefined;
  readonly oldestSweepMs: number | undefined;
  /** Why eviction does not reach its goal: `nothing_evictable` or `recent`; empty = it does. */
  readonly blocked: string;
  /** Why nothing can be evicted, such as the store's refusal to list or delete; empty = it permits both. */
  readonly evictionDenied: string;
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
