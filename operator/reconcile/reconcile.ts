/**
 * The story: read the cache, see what exists, check what it names, make the children, say how it is. Level-based: it
 * looks at the whole state each time, so it does not matter what happened before or how often it runs.
 */
import { ANNOTATION, CONDITION, REASON } from '#crds/names.ts';
import { podConfigFile } from '#crds/pod-config.ts';
import { isReady, type LiveDeployment, type LivePod, type NamedReport } from '#operator/api/observed.ts';
import type { Condition, OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from '#operator/resources/context.ts';
import { desiredChildren, type Child } from '#operator/resources/list.ts';
import { podMessage, unreadyPod } from '#operator/status/pod-message.ts';
import { rolloutOf } from '#operator/status/rollout.ts';
import type { Phase } from '#operator/status/status-input.ts';
import { SETTLED_POLL_MS } from '#operator/status/dependency-conditions.ts';
import { statusOf } from '#operator/status/status.ts';
import { transitions } from '#operator/status/transitions.ts';
import type { Clock } from '#shared/clock.ts';
import type { Api } from './api.ts';
import { isAsDesired } from './apply.ts';
import { applyChildren, type ApplyResult } from './apply-children.ts';
import { checkReferences } from './check-references.ts';
import { emitEvents } from './emit-events.ts';
import { deploymentOf, newestPods, observe, type Observed } from './observe.ts';
import { notLaterThan, outcomeOf, type Outcome } from './outcome.ts';
import { provenConfigs } from './proven-configs.ts';
import { cachePath, patchStatus } from './patch-status.ts';
import type { PodReports } from './pod-reports.ts';

/** `<namespace>/<name>` of a cache. */
export type Key = string;

export interface ReconcilerOptions {
  readonly clock: Clock;
  readonly image: string;
  readonly imagePullPolicy: BuildContext['imagePullPolicy'];
  /** Of the operator, as the status reports it. */
  readonly version: string;
  /** Which operator pod speaks in events. */
  readonly instance: string;
  readonly newPeerKeyBase64: () => string;
  /** Hears what each reconcile finds; undefined for a cache that is gone. */
  readonly state: (key: Key, conditions: readonly Condition[] | undefined) => void;
  readonly reports: PodReports;
}

/** A Secret may be made right after the cache that names it; later than this it is a mistake. */
const MISSING_GRACE_MS = 60_000;
/** Just below the pause between the looks at a rollout: what a pod says of it is to be of now. */
const ROLLOUT_REPORT_MS = 4000;

export type Reconcile = (api: Api, key: Key) => Promise<Outcome>;

export function openReconciler(options: ReconcilerOptions): Reconcile {
  /** Since when each cache waits for something that it names. */
  const waitingSinceMs = new Map<Key, number>();

  function waitLeftMs(key: Key, cache: OrcaCache): number {
    const sinceMs = waitingSinceMs.get(key) ?? awaitedBefore(cache) ?? options.clock.date();
    waitingSinceMs.set(key, sinceMs);
    return Math.max(sinceMs + MISSING_GRACE_MS - options.clock.date(), 0);
  }

  async function act(api: Api, key: Key, cache: OrcaCache, desired: Child[], observed: Observed): Promise<ApplyResult> {
    const unchanged = (phase: Phase): ApplyResult => ({ phase, deployment: deploymentOf(observed.children, cache) });
    if ((cache.metadata.annotations?.[ANNOTATION.paused] ?? 'false') !== 'false') return unchanged({ kind: 'paused' });
    const problem = await checkReferences(api, cache);
    if (problem === undefined) {
      waitingSinceMs.delete(key);
      return applyChildren(api, cache, desired, observed, options.clock.date());
    }
    const expired = waitLeftMs(key, cache) === 0;
    return unchanged({ kind: 'blocked', by: problem.kind, message: problem.message, expired });
  }

  /** What the pods say of origin and store, and what the newest one that is not ready says of itself. */
  async function listen(
    api: Api,
    key: Key,
    cache: OrcaCache,
    observed: Observed,
    deployment: LiveDeployment | undefined,
  ): Promise<{ readonly reports: readonly NamedReport[]; readonly podMessage: string | undefined }> {
    const isSettled = rolloutOf(deployment, cache.spec.replicas).kind === 'complete';
    const doubtful = isSettled ? undefined : unreadyPod(newestPods(observed));
    const witnesses = witnessesOf(observed.pods);
    const asked = doubtful === undefined ? witnesses : [doubtful, ...witnesses.filter((pod) => pod !== doubtful)];
    const all = await options.reports.of(key, asked, isSettled ? SETTLED_POLL_MS : ROLLOUT_REPORT_MS, api.signal);
    const reportOf = ({ metadata }: LivePod) => all.find(({ pod }) => pod === metadata.name);
    return {
      reports: witnesses.flatMap((pod) => reportOf(pod) ?? []),
      podMessage: doubtful === undefined ? undefined : podMessage(doubtful, reportOf(doubtful)?.report),
    };
  }

  return async (api, key) => {
    const cache = await readCache(api, key);
    if (cache === undefined || cache.metadata.deletionTimestamp !== undefined) {
      // Garbage collection takes the children.
      waitingSinceMs.delete(key);
      options.reports.forget(key);
      options.state(key, undefined);
      return { kind: 'done' };
    }
    const observed = await observe(api, cache);
    const config = podConfigFile(cache);
    const proven = provenConfigs(cache, config.hash, observed);
    const desired = desiredChildren(cache, {
      image: options.image,
      imagePullPolicy: options.imagePullPolicy,
      config,
      provenConfigs: proven,
      newPeerKeyBase64: options.newPeerKeyBase64(),
    });
    const { phase, deployment, requeueAfterMs } = await act(api, key, cache, desired, observed);
    const statusInput = {
      cache,
      phase,
      deployment,
      upToDate: isUpToDate(desired, deployment),
      configHash: config.hash,
      proven: proven.includes(config.hash),
      ...(await listen(api, key, cache, observed, deployment)),
    };
    const status = statusOf(statusInput, options.version, options.clock.date());
    options.state(key, status.conditions);
    if (await patchStatus(api, cache, status))
      await emitEvents(api, cache, transitions(cache.status, status), options.instance, options.clock);
    const leftMs = phase.kind === 'blocked' ? waitLeftMs(key, cache) : 0;
    const outcome = outcomeOf(phase, status, leftMs, options.clock.date());
    return requeueAfterMs === undefined ? outcome : notLaterThan(outcome, requeueAfterMs);
  };
}

/** Whom to ask about origin and store: those that serve; where none does, those that should. */
function witnessesOf(pods: readonly LivePod[]): readonly LivePod[] {
  const serving = pods.filter(isReady);
  return serving.length > 0 ? serving : pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

async function readCache(api: Api, key: Key): Promise<OrcaCache | undefined> {
  const [namespace = '', name = ''] = key.split('/');
  return api.find<OrcaCache>(cachePath(namespace, name));
}

/** After a restart of the operator the wait goes on where the status left it. */
function awaitedBefore({ status }: OrcaCache): number | undefined {
  const found = status?.conditions?.find(
    ({ type, status: is, reason }) =>
      is === 'True' &&
      ((type === CONDITION.reconciling && reason === REASON.waitingForSecret) ||
        (type === CONDITION.stalled && reason === REASON.secretNotFound)),
  );
  if (found === undefined) return undefined;
  return found.type === CONDITION.stalled ? 0 : Date.parse(found.lastTransitionTime);
}

function isUpToDate(desired: readonly Child[], deployment: LiveDeployment | undefined): boolean {
  const wanted = desired.find(({ manifest }) => manifest.kind === 'Deployment');
  return wanted !== undefined && deployment !== undefined && isAsDesired(wanted.manifest, deployment);
}
