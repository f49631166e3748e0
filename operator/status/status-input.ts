/** All that the conditions are computed from: what happened in this reconcile, and what was seen of the workload. */
import type { Reason } from '#crds/names.ts';
import type { LiveDeployment, NamedReport } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';

/** How far the reconcile came. Everything but `applied` changed no child, or stopped at one. */
export type Phase =
  | { readonly kind: 'paused' }
  /** Something that the spec names is not there, or not as it has to be. */
  | {
      readonly kind: 'blocked';
      readonly by: 'missing' | 'malformed';
      readonly message: string;
      readonly expired: boolean;
    }
  /** An object of a child's name is not ours; `passing`: it is about to go. */
  | { readonly kind: 'conflict'; readonly object: string; readonly passing: boolean }
  /** The API server refuses a child; `final`: for what the spec asks, not for who we are or what is full. */
  | { readonly kind: 'refused'; readonly message: string; readonly final: boolean }
  | { readonly kind: 'applied' };

export interface StatusInput {
  readonly cache: OrcaCache;
  readonly phase: Phase;
  readonly deployment: LiveDeployment | undefined;
  /** The live Deployment is what this generation asks for. */
  readonly upToDate: boolean;
  readonly configHash: string;
  /** A pod has been ready with this configuration. */
  readonly proven: boolean;
  /** What the newest pod that is not ready says of itself. */
  readonly podMessage: string | undefined;
  /** Of a few of the pods that serve, or of one that should where none does. */
  readonly reports: readonly NamedReport[];
}

/** A condition before it is compared with the last one. */
export interface ConditionValue {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  readonly message: string;
  /**
   * Where the message quotes a server: how it begins. What follows may be worded otherwise each time, and is written
   * only when this changes.
   */
  readonly about?: string;
}
