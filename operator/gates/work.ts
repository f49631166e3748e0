/** The work of a term: follows the gated pods, and reconciles them by the prewarms that they wait for. */
import { openGatedPods, type GatedPodsOptions } from './gated-pods.ts';
import { openGateReconciler } from './reconcile.ts';
import { openExplained } from './explained.ts';

export interface GateWorkOptions extends Omit<GatedPodsOptions, 'onChange' | 'onReleased'> {
  /** The operator pod that events name as their reporter. */
  readonly instance: string;
  readonly addKey: (key: string) => void;
}

export function openGateWork({ instance, addKey, ...options }: GateWorkOptions) {
  const explained = openExplained();
  const pods = openGatedPods({ ...options, onChange: addKey, onReleased: (uid) => explained.forget(uid) });
  return {
    reconcile: openGateReconciler({ clock: options.clock, instance, pods, explained }),
    run: (signal: AbortSignal) => pods.run(signal),
  };
}
