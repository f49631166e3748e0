/** Besides the gated pods, their controller watches how the prewarms end. */
import { API_VERSION, CONDITION, PREWARM } from '#crds/names.ts';
import { keyOf, type Collection } from '#operator/api/collection.ts';
import { collectionPath, type Live } from '#operator/api/manifest.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';

export const GATE_COLLECTIONS: readonly Collection[] = [
  {
    path: (namespace) => collectionPath(API_VERSION, PREWARM.plural, namespace),
    keysOf: (prewarm) => [keyOf(prewarm)],
    versionOf: outcomeOf,
    resync: true,
    mayBeAbsent: true,
  },
];

function outcomeOf(object: Live): string {
  const { status } = object as unknown as Pick<OrcaPrewarm, 'status'>;
  const holds = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  return JSON.stringify([holds(CONDITION.complete), holds(CONDITION.failed), status?.runs]);
}
