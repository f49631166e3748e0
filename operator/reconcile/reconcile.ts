/**
 * Reconciles one OrcaCache: observe → validate references → apply children → update status. Level-based: each pass reads
 * the whole state, so neither missed events nor repeated runs change the result.
 */
import { ANNOTATION } from '#crds/names.ts';
import { podConfigFile } from '#crds/pod-config.ts';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { Condition, OrcaCache, OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import type { BuildContext } from '#operator/resources/context.ts';
import { desiredChildren, type Child } from '#operator/resources/list.ts';
import { overlayProblem } from '#operator/resources/pod-overlay.ts';
import { podTemplate } from '#operator/resources/pod-template.ts';
import type { Phase, StatusInput } from '#operator/status/status-input.ts';
import { statusOf } from '#operator/status/status.ts';
import { transitions } from '#operator/status/transitions.ts';
import type { Clock } from '#shared/clock.ts';
import type { Api } from './api.ts';
import { applyChildren, type ApplyResult } from './apply-children.ts';
import { isAsDesired } from './apply.ts';
import { collectReports } from './collect-reports.ts';
import { emitEvents } from './emit-events.ts';
import { deploymentOf, observe, type Observed } from './observe.ts';
import { notLaterThan, outcomeOf, type Outcome } from './outcome.ts';
import { cachePath, patchStatus } from './patch-status.ts';
import type { PodReports } from './pod-reports.ts';
import { provenConfigs } from './proven-configs.ts';
import { openReferenceWaits, type ReferenceWaits } from './reference-waits.ts';
import { openUnacceptedFields, type UnacceptedFields } from './unaccepted-fields.ts';
import { validateReferences } from './validate-references.ts';
import { openWorkerRestarts, type WorkerRestarts } from './worker-restarts.ts';

/** `<namespace>/<name>` of a cache. */
export type Key = string;

export interface ReconcilerOptions {
  readonly clock: Clock;
  readonly image: string;
  readonly imagePullPolicy: BuildContext['imagePullPolicy'];
  /** The operator's version, as the status reports it. */
  readonly version: string;
  /** The operator pod that events name as their reporter. */
  readonly instance: string;
  readonly newPeerKeyBase64: () => string;
  /** Called in each pass with the computed conditions, and with undefined when the cache is deleted. */
  readonly onConditions: (key: Key, conditions: readonly Condition[] | undefined) => void;
  readonly podReports: PodReports;
}

export type Reconcile = (api: Api, key: Key) => Promise<Outcome>;

/** One pass over one cache. */
interface Pass {
  readonly options: ReconcilerOptions;
  readonly waits: ReferenceWaits;
  readonly restarts: WorkerRestarts;
  readonly unaccepted: UnacceptedFields;
  readonly api: Api;
  readonly key: Key;
  readonly cache: OrcaCache;
}

interface DesiredState {
  /** A field of `spec.pod.template` that cannot be accepted. */
  readonly templateProblem: string | undefined;
  readonly configHash: string;
  readonly provenConfigs: readonly string[];
  readonly children: readonly Child[];
}

export function openReconciler(options: ReconcilerOptions): Reconcile {
  const waits = openReferenceWaits(options.clock);
  const restarts = openWorkerRestarts();
  const unaccepted = openUnacceptedFields(options.clock);
  return async (api, key) => {
    const cache = await readCache(api, key);
    if (cache === undefined || cache.metadata.deletionTimestamp !== undefined) {
      // Garbage collection deletes the children.
      waits.end(key);
      restarts.forget(key);
      unaccepted.forget(key);
      options.podReports.forget(key);
      options.onConditions(key, undefined);
      return { kind: 'done' };
    }
    return runPass({ options, waits, restarts, unaccepted: unaccepted.of(key, api.log), api, key, cache });
  };
}

async function runPass(pass: Pass): Promise<Outcome> {
  const { options, waits, unaccepted, api, key, cache } = pass;
  const observed = await observe(api, cache);
  const desired = desiredState(pass, observed);
  const blocked = await blockingPhase(pass, desired);
  const result: ApplyResult =
    blocked === undefined
      ? await applyChildren(api, cache, desired.children, observed, options.clock.date(), unaccepted)
      : { phase: blocked, deployment: deploymentOf(observed.children, cache) };
  const status = await updateStatus(pass, observed, desired, result);

  const { phase, requeueAfterMs } = result;
  const waitLeftMs = phase.kind === 'blocked' ? waits.leftMs(key, cache) : 0;
  const outcome = outcomeOf(phase, status, waitLeftMs, options.clock.date());
  return requeueAfterMs === undefined ? outcome : notLaterThan(outcome, requeueAfterMs);
}

function desiredState({ options, cache }: Pass, observed: Observed): DesiredState {
  const config = podConfigFile(cache);
  const proven = provenConfigs(cache, config.hash, observed);
  const context: BuildContext = {
    image: options.image,
    imagePullPolicy: options.imagePullPolicy,
    config,
    provenConfigs: proven,
    newPeerKeyBase64: options.newPeerKeyBase64(),
  };
  return {
    templateProblem: overlayProblem(podTemplate(cache, context), cache),
    configHash: config.hash,
    provenConfigs: proven,
    children: desiredChildren(cache, context),
  };
}

/** The phase that keeps the children unchanged: paused, or a reference or template that is missing or malformed. */
async function blockingPhase(
  { api, cache, key, waits }: Pass,
  { templateProblem }: DesiredState,
): Promise<Phase | undefined> {
  if ((cache.metadata.annotations?.[ANNOTATION.paused] ?? 'false') !== 'false') return { kind: 'paused' };
  if (templateProblem !== undefined) return { kind: 'rejected', message: templateProblem, permanent: true };
  const problem = await validateReferences(api, cache);
  if (problem === undefined) {
    waits.end(key);
    return undefined;
  }
  return { kind: 'blocked', by: problem.kind, message: problem.message, expired: waits.leftMs(key, cache) === 0 };
}

async function updateStatus(
  { options, restarts, unaccepted, api, key, cache }: Pass,
  observed: Observed,
  desired: DesiredState,
  { phase, deployment }: ApplyResult,
): Promise<OrcaCacheStatus> {
  const input: StatusInput = {
    cache,
    phase,
    deployment,
    upToDate: isUpToDate(desired.children, deployment, unaccepted),
    configHash: desired.configHash,
    proven: desired.provenConfigs.includes(desired.configHash),
    ...(await collectReports(options.podReports, api, key, cache, observed, deployment)),
  };
  const status = statusOf(input, options.version, options.clock.date());
  options.onConditions(key, status.conditions);
  const { namespace, name } = cache.metadata;
  const isPatched = await patchStatus(api, cachePath(namespace, name), cache, status);
  const events = [...(isPatched ? transitions(cache.status, status) : []), ...restarts.eventsOf(key, input.reports)];
  await emitEvents(api, cache, events, options.instance, options.clock);
  return status;
}

async function readCache(api: Api, key: Key): Promise<OrcaCache | undefined> {
  const [namespace = '', name = ''] = key.split('/');
  return api.find<OrcaCache>(cachePath(namespace, name));
}

function isUpToDate(
  desired: readonly Child[],
  deployment: LiveDeployment | undefined,
  unaccepted: UnacceptedFields,
): boolean {
  const wanted = desired.find(({ manifest }) => manifest.kind === 'Deployment');
  return wanted !== undefined && deployment !== undefined && isAsDesired(wanted.manifest, deployment, unaccepted);
}
