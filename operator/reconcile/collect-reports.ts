/**
 * Selects the pods to probe in this pass, and splits their reports: dependencies, and why the newest pod is unready.
 */
import { isReady, type LiveDeployment, type LivePod, type NamedReport } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { SETTLED_POLL_MS } from '#operator/status/dependency-conditions.ts';
import { podMessage, unreadyPod } from '#operator/status/pod-message.ts';
import { rolloutOf } from '#operator/status/rollout.ts';
import type { Api } from './api.ts';
import { newestPods, type Observed } from './observe.ts';
import type { PodReports } from './pod-reports.ts';

/** Just below the recheck interval of a rollout (5 s), so that every recheck gets a fresh report. */
const ROLLOUT_MAX_AGE_MS = 4000;

export interface CollectedReports {
  readonly reports: readonly NamedReport[];
  readonly podMessage: string | undefined;
}

export async function collectReports(
  podReports: PodReports,
  api: Api,
  key: string,
  cache: OrcaCache,
  observed: Observed,
  deployment: LiveDeployment | undefined,
): Promise<CollectedReports> {
  const isSettled = rolloutOf(deployment, cache.spec.replicas).kind === 'complete';
  const unready = isSettled ? undefined : unreadyPod(newestPods(observed));
  const reporting = reportingPods(observed.pods);
  const probed = unready === undefined ? reporting : [unready, ...reporting.filter((pod) => pod !== unready)];
  const reports = await podReports.get(key, probed, isSettled ? SETTLED_POLL_MS : ROLLOUT_MAX_AGE_MS, api.signal);
  const reportOf = ({ metadata }: LivePod) => reports.find(({ pod }) => pod === metadata.name);
  return {
    reports: reporting.flatMap((pod) => reportOf(pod) ?? []),
    podMessage: unready === undefined ? undefined : podMessage(unready, reportOf(unready)?.report),
  };
}

/** The pods that can report on origin and store: the ready ones; without any, all that are not being deleted. */
function reportingPods(pods: readonly LivePod[]): readonly LivePod[] {
  const ready = pods.filter(isReady);
  return ready.length > 0 ? ready : pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}
