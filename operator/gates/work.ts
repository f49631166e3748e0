/** The work of a term: follows the gated pods, and reconciles them by the prewarms that they wait for. */
import { openGatedPods, type GatedPodsOptions } from './gated-pods.ts';
import { openGateReconciler } from './reconcile.ts';
import { openTold } from './told.ts';

export interface GateWorkOptions extends Omit<GatedPodsOptions, 'onChange' | 'onGone'> {
  /** The operator pod that events name as their reporter. */
  readonly instance: string;
  readonly addKey: (key: string) => void;
}

export function openGateWork({ instance, addKey, ...options }: GateWorkOptions) {
  const told = openTold();
  const pods = openGatedPods({ ...options, onChange: addKey, onGone: (uid) => told.forget(uid) });
  return {
    reconcile: openGateReconciler({ clock: options.clock, instance, pods, told }),
    run: (signal: AbortSignal) => pods.run(signal),
  };
}
