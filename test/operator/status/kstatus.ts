/** A port of the rules of kstatus that apply to the resources of this project. */
import type { KstatusResult } from './states.ts';

interface Resource {
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string };
}
interface Status {
  readonly observedGeneration?: number;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

/** The order of checks in sigs.k8s.io/cli-utils: deletion, generation, Reconciling, Stalled, Ready. */
export function kstatus({ metadata }: Resource, status: Status | undefined): KstatusResult {
  const { generation, deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== generation) return 'InProgress';
  const is = (type: string): string | undefined => status?.conditions?.find((one) => one.type === type)?.status;
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  return is('Ready') === undefined || is('Ready') === 'True' ? 'Current' : 'InProgress';
}
