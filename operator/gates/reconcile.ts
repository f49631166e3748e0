/**
 * Reconciles the pods that wait for one prewarm: those whose prewarms are all complete lose their scheduling gate. The
 * others learn by an event why they wait.
 */
import { PREWARM_GATE, ANNOTATION, FIELD_MANAGER } from '#crds/names.ts';
import { EVENT_REASON } from '#operator/api/event-reasons.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { prewarmPath } from '#operator/prewarm/collections.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { emitEvents } from '#operator/reconcile/emit-events.ts';
import type { Outcome } from '#operator/reconcile/outcome.ts';
import type { Transition } from '#operator/status/transitions.ts';
import type { Clock } from '#shared/clock.ts';
import { PATCH } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import { releaseOf, stateOf, type PrewarmState } from './decide.ts';
import type { GatedPod } from './gated-pod.ts';
import type { GatedPods } from './gated-pods.ts';
import type { Explained } from './explained.ts';

export interface GateReconcilerOptions {
  readonly clock: Clock;
  /** The operator pod that events name as their reporter. */
  readonly instance: string;
  readonly pods: GatedPods;
  readonly explained: Explained;
}

/** Any other text cannot be the name of an object, or the end of a path. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The key is that of a prewarm. */
export function openGateReconciler(options: GateReconcilerOptions) {
  return async (api: Api, key: string): Promise<Outcome> => {
    const slash = key.indexOf('/');
    const [namespace, prewarm] = [key.slice(0, slash), key.slice(slash + 1)];
    const pods = options.pods.waitingFor(namespace, prewarm);
    const states = new Map<string, PrewarmState>();
    for (const name of new Set(pods.flatMap(({ prewarms }) => prewarms)))
      states.set(name, stateOf(await findPrewarm(api, namespace, name)));
    for (const pod of pods) {
      const why = releaseOf(pod, states);
      if (why === undefined) await explain(options, api, pod, reasonToWait(pod, prewarm, states.get(prewarm)));
      else await release(options, api, pod, why);
    }
    return { kind: 'done' };
  };
}

async function findPrewarm(api: Api, namespace: string, name: string): Promise<OrcaPrewarm | undefined> {
  return NAME.test(name) ? api.find<OrcaPrewarm>(prewarmPath(namespace, name)) : undefined;
}

interface ReasonToWait extends Transition {
  /** An event is written once for each. */
  readonly id: string;
}

function reasonToWait(
  { namespace, releasedOnFailure }: GatedPod,
  name: string,
  state: PrewarmState | undefined,
): ReasonToWait | undefined {
  if (state?.kind === 'missing')
    return {
      type: 'Warning',
      reason: EVENT_REASON.prewarmNotFound,
      message: `waiting for OrcaPrewarm ${namespace}/${name}, which does not exist; create it, or correct the annotation ${ANNOTATION.prewarm}`,
      id: `missing ${name}`,
    };
  if (state?.kind !== 'failed' || releasedOnFailure) return undefined;
  return {
    type: 'Warning',
    reason: EVENT_REASON.prewarmFailed,
    message: `OrcaPrewarm ${name} has failed: ${state.message}. The pod waits until it is created again and complete; the annotation ${ANNOTATION.prewarmOnFailure}: Release lets it start`,
    id: `failed ${state.id}`,
  };
}

async function explain(
  { explained, instance, clock }: GateReconcilerOptions,
  api: Api,
  pod: GatedPod,
  why: ReasonToWait | undefined,
): Promise<void> {
  if (why === undefined || !explained.isNew(pod.uid, why.id)) return;
  api.log.info('a pod waits', { pod: pod.name, reason: why.reason });
  await emitEvents(api, regarding(pod), [why], instance, clock);
}

async function release(
  { instance, clock }: GateReconcilerOptions,
  api: Api,
  pod: GatedPod,
  why: string,
): Promise<void> {
  try {
    await api.write('PATCH', `${collectionPath('v1', 'pods', pod.namespace)}/${pod.name}`, {
      contentType: PATCH.strategic,
      query: { fieldManager: FIELD_MANAGER },
      // The uid: not a new pod of the same name.
      body: { metadata: { uid: pod.uid }, spec: { schedulingGates: [{ $patch: 'delete', name: PREWARM_GATE }] } },
    });
  } catch (error) {
    // The pod was deleted or replaced meanwhile.
    if (hasStatus(error, 404, 409)) return;
    throw error;
  }
  api.log.info('removed the scheduling gate of a pod', { pod: pod.name, why });
  await emitEvents(
    api,
    regarding(pod),
    [{ type: 'Normal', reason: EVENT_REASON.gateRemoved, message: why }],
    instance,
    clock,
  );
}

function regarding({ namespace, name, uid }: GatedPod) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, uid } };
}
