/** What a gated pod does, from the states of the prewarms that it names. Pure. */
import { CONDITION } from '#crds/names.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import type { GatedPod } from './gated-pod.ts';

export type PrewarmState =
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly message: string; readonly id: string }
  | { readonly kind: 'open' }
  | { readonly kind: 'missing' };

/** `undefined`: it does not exist. */
export function stateOf(prewarm: OrcaPrewarm | undefined): PrewarmState {
  if (prewarm === undefined) return { kind: 'missing' };
  const { metadata, status } = prewarm;
  const holds = (type: string) =>
    status?.conditions?.find((condition) => condition.type === type && condition.status === 'True');
  const failed = holds(CONDITION.failed);
  if (failed !== undefined)
    return { kind: 'failed', message: failed.message, id: `${metadata.uid} ${status?.runs ?? 0}` };
  return { kind: holds(CONDITION.complete) === undefined ? 'open' : 'complete' };
}

/** Why the gate is removed; undefined: the pod waits. */
export function releaseOf(pod: GatedPod, states: ReadonlyMap<string, PrewarmState>): string | undefined {
  const kinds = pod.prewarms.map((name) => states.get(name)?.kind ?? 'missing');
  if (kinds.every((kind) => kind === 'complete')) return `complete: ${pod.prewarms.join(', ')}`;
  const isSettled = kinds.every((kind) => kind === 'complete' || kind === 'failed');
  if (!pod.releasedOnFailure || !isSettled) return undefined;
  const failed = pod.prewarms.filter((_, index) => kinds[index] === 'failed');
  return `the pod starts although these have failed: ${failed.join(', ')}`;
}
