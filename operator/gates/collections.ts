/** Besides the gated pods, their controller watches how the prewarms end. */
import type { Collection } from '#operator/api/collection.ts';
import type { Live } from '#operator/api/manifest.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { PREWARMS } from '#operator/prewarm/collections.ts';
import { stateOf } from './decide.ts';

export const GATE_COLLECTIONS: readonly Collection[] = [{ ...PREWARMS, versionOf: outcomeOf }];

function outcomeOf(object: Live): string {
  const prewarm = object as unknown as OrcaPrewarm;
  return JSON.stringify([stateOf(prewarm).kind, prewarm.status?.runs]);
}
