/**
 * The progress of a run as the replica that walks it reports it, for a bar that moves every second: the status of the
 * resource is written every five seconds. Without the right to query pods, the status has to do.
 */
import { parsePrewarmReports, PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';
import { KubeError } from '#shared/kube/error.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { Clock } from '#shared/clock.ts';
import type { CachePod, Cluster } from '#cache/cli/cluster/cluster.ts';
import { formatBytes } from '#cache/cli/output/units.ts';
import type { PrewarmState } from './state.ts';

/** The bar must not stop for a pod that does not answer. */
const TIMEOUT_MS = 2_000;
/** After a failure, or if no replica reports the run. */
const PAUSE_MS = 5_000;

export type Refine = (state: PrewarmState) => Promise<PrewarmState>;

export interface LiveOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export function openLive(options: LiveOptions): Refine {
  const { clock, signal } = options;
  let walker: CachePod | undefined;
  let nextMs = -Infinity;
  let last: PrewarmState | undefined;
  /** The status may be older than what was shown, and a replica that takes over counts from its last record. */
  const forward = (state: PrewarmState): PrewarmState => {
    const isBehind = last !== undefined && last.runs === state.runs && last.bytes.done > state.bytes.done;
    if (isBehind) return { ...state, objects: last!.objects, bytes: last!.bytes, isListed: last!.isListed };
    last = state;
    return state;
  };
  return async (state) => {
    if (state.phase !== 'Running') return state;
    if (clock.now() < nextMs) return forward(state);
    try {
      const late = () => new KubeError(0, 'Timeout', 'no pod has answered in time');
      const found = await withDeadline(clock, TIMEOUT_MS, late, signal, (bounded) =>
        find(options, state, walker, bounded),
      );
      walker = found?.pod;
      if (found !== undefined) return forward(withReport(state, found.report, clock.date()));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KubeError)) throw error;
      walker = undefined;
    }
    nextMs = clock.now() + PAUSE_MS;
    return forward(state);
  };
}

/** At the pod that had the report last, otherwise at all. */
async function find(
  { cluster }: LiveOptions,
  state: PrewarmState,
  walker: CachePod | undefined,
  signal: AbortSignal,
): Promise<{ readonly pod: CachePod; readonly report: PrewarmReport } | undefined> {
  const cache = { name: state.cache, namespace: state.namespace, resource: undefined };
  const pods = walker === undefined ? await cluster.pods(cache, signal) : [walker];
  for (const pod of pods.filter(({ isRunning }) => isRunning)) {
    const answer = await cluster.get(pod, PREWARMS_PATH, {}, signal);
    const report = parsePrewarmReports(JSON.stringify(answer)).find(
      ({ uid, run, state: runState }) => uid === state.uid && run === state.runs && runState === 'running',
    );
    if (report !== undefined) return { pod, report };
  }
  return undefined;
}

/** A replica that has just taken over may be behind the status, and lists again what was listed before. */
function withReport(state: PrewarmState, report: PrewarmReport, nowMs: number): PrewarmState {
  const { bytes, objects, listed, bytesPerSecond } = report;
  if (bytes.done < state.bytes.done || objects.done + objects.failed < state.objects.done + state.objects.failed)
    return state;
  const totalBytes = listed ? bytes.total : Math.max(bytes.total, state.bytes.total);
  const totalObjects = listed ? objects.total : Math.max(objects.total, state.objects.total);
  const leftMs = bytesPerSecond > 0 ? ((totalBytes - bytes.done) / bytesPerSecond) * 1_000 : undefined;
  return {
    ...state,
    isListed: listed || state.isListed,
    objects: { ...objects, total: totalObjects },
    bytes: { ...bytes, total: totalBytes },
    rate: `${formatBytes(bytesPerSecond)}/s`,
    estimatedMs: leftMs === undefined ? undefined : nowMs + leftMs,
  };
}
