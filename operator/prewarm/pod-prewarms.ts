/**
 * What the cache pods report about runs (`GET /prewarms`). One report of a pod is about all prewarms, so it is shared by
 * the reconciles of a second.
 */
import { POD_PORT } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import { isReady, type LivePod } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { fetchText } from '#operator/reconcile/probe-pod.ts';
import { selectorLabels, selectorText } from '#operator/resources/labels.ts';
import type { Clock } from '#shared/clock.ts';
import { parsePrewarmReports, PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';
import { openSemaphore } from '#shared/semaphore.ts';

export interface RunReports {
  /** The number of pods that were queried. */
  readonly pods: number;
  /** The report of the replica that has processed the most objects. */
  readonly report: PrewarmReport | undefined;
}

export interface PodPrewarms {
  find(api: Api, cache: OrcaCache, uid: string, run: number): Promise<RunReports>;
}

/** Rejects if the pod does not answer. */
export type ProbePrewarms = (podIp: string, signal: AbortSignal) => Promise<readonly PrewarmReport[]>;

/** Below the shortest interval between two rechecks of a prewarm (1 s). */
const MAX_AGE_MS = 900;
/** Bounds the open connections when pods do not answer. */
const MAX_REQUESTS = 20;

interface Cached {
  readonly atMs: number;
  readonly reports: readonly PrewarmReport[];
}

export function openPrewarmProbe(port: number = POD_PORT.ops): ProbePrewarms {
  return async (podIp, signal) => parsePrewarmReports(await fetchText(podIp, port, PREWARMS_PATH, signal));
}

export function openPodPrewarms(options: { readonly clock: Clock; readonly probe: ProbePrewarms }): PodPrewarms {
  const { clock, probe } = options;
  const cached = new Map<string, Cached>();
  const withPermit = openSemaphore(MAX_REQUESTS);

  async function reportsOf({ metadata, status }: LivePod, signal: AbortSignal): Promise<readonly PrewarmReport[]> {
    const podIp = status?.podIP;
    if (podIp === undefined || podIp === '') return [];
    const id = `${metadata.uid} ${podIp}`;
    const known = cached.get(id);
    if (known !== undefined) return known.reports;
    const reports = await withPermit(signal, () => probe(podIp, signal)).catch((error: unknown) => {
      signal.throwIfAborted();
      // Expected while a pod starts, of a pod of an older release, or behind a network policy.
      if (error instanceof Error) return [];
      throw error;
    });
    cached.set(id, { atMs: clock.now(), reports });
    return reports;
  }

  function forgetOld(): void {
    for (const [id, { atMs }] of cached) if (clock.now() - atMs >= MAX_AGE_MS) cached.delete(id);
  }

  return {
    async find(api, cache, uid, run) {
      forgetOld();
      const pods = await api.list<LivePod>(
        collectionPath('v1', 'pods', cache.metadata.namespace),
        selectorText(selectorLabels(cache)),
      );
      const queried = reporting(pods);
      const reports = (await Promise.all(queried.map((pod) => reportsOf(pod, api.signal)))).flat();
      const ofRun = reports.filter((report) => report.uid === uid && report.run === run);
      return { pods: queried.length, report: furthest(ofRun) };
    },
  };
}

/** The ready pods; without any, all that are not being deleted: an unready pod continues its run. */
function reporting(pods: readonly LivePod[]): readonly LivePod[] {
  const ready = pods.filter(isReady);
  return ready.length > 0 ? ready : pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** After a takeover two replicas may report for a moment. */
function furthest(reports: readonly PrewarmReport[]): PrewarmReport | undefined {
  const handled = ({ state, objects }: PrewarmReport): number =>
    state === 'finished' ? Number.POSITIVE_INFINITY : objects.done + objects.failed;
  return reports.toSorted((left, right) => handled(right) - handled(left))[0];
}
