/** Everything the conditions are computed from: the outcome of this reconcile and the observed workload. */
import type { Reason } from '#crds/names.ts';
import type { LiveDeployment, NamedReport } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';

/** How far the reconcile got. In every phase but `applied` it changed no child, or stopped at one. */
export type Phase =
  | { readonly kind: 'paused' }
  /** A referenced Secret or ConfigMap is missing or malformed. `expired`: it has been missing for too long. */
  | {
      readonly kind: 'blocked';
      readonly by: 'missing' | 'malformed';
      readonly message: string;
      readonly expired: boolean;
    }
  /** A child's name belongs to an object that is not ours. `transient`: that object is about to be deleted. */
  | { readonly kind: 'conflict'; readonly object: string; readonly transient: boolean }
  /** The API server rejects a child. `permanent`: because of the spec, not because of RBAC, a quota or a policy. */
  | { readonly kind: 'rejected'; readonly message: string; readonly permanent: boolean }
  | { readonly kind: 'applied' };

export interface StatusInput {
  readonly cache: OrcaCache;
  readonly phase: Phase;
  readonly deployment: LiveDeployment | undefined;
  /** The live Deployment matches this generation of the spec. */
  readonly upToDate: boolean;
  readonly configHash: string;
  /** A pod has been ready with this configuration. */
  readonly proven: boolean;
  /** Why the newest unready pod is not ready. */
  readonly podMessage: string | undefined;
  /** From a few ready pods; from unready pods if there are no ready ones. */
  readonly reports: readonly NamedReport[];
}

/** A condition before it is compared with the published one. */
export interface ConditionValue {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  readonly message: string;
  /**
   * The part of the message before a quoted server response. The quote may differ on every probe, so the condition is
   * rewritten only when this prefix changes.
   */
  readonly stablePrefix?: string;
}
