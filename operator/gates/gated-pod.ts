/** A pod that waits for prewarms: it has the scheduling gate and an annotation with their names. Pure. */
import { ANNOTATION, PREWARM_GATE } from '#crds/names.ts';
import type { Live } from '#operator/api/manifest.ts';

export interface GatedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Of prewarms in its namespace; distinct. */
  readonly prewarms: readonly string[];
  /** It starts although a prewarm has failed. */
  readonly releasedOnFailure: boolean;
}

interface LiveGatedPod extends Live {
  readonly spec?: { readonly schedulingGates?: readonly { readonly name?: string }[] };
}

/** Far more than a job needs. Each name costs a request. */
const MAX_NAMES = 50;
const RELEASE = 'Release';

/** Undefined without the gate; without names, nothing opens it. */
export function parseGatedPod(pod: Live): GatedPod | undefined {
  const { metadata, spec } = pod as LiveGatedPod;
  if (metadata.deletionTimestamp !== undefined) return undefined;
  if (spec?.schedulingGates?.some(({ name }) => name === PREWARM_GATE) !== true) return undefined;
  const names = (metadata.annotations?.[ANNOTATION.prewarm] ?? '').split(',').map((name) => name.trim());
  const prewarms = [...new Set(names)].filter((name) => name !== '').slice(0, MAX_NAMES);
  if (prewarms.length === 0) return undefined;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    prewarms,
    releasedOnFailure: metadata.annotations?.[ANNOTATION.prewarmOnFailure] === RELEASE,
  };
}
