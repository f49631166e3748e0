/**
 * Caches the reports of the pods. A reconcile gets the reports it needs; between reconciles the pods are polled, and a
 * cache whose reports change is added to the work queue.
 */
import type { LivePod, NamedReport } from '#operator/api/observed.ts';
import type { Clock } from '#shared/clock.ts';
import type { ProbePod } from './probe-pod.ts';
import { openSemaphore } from '#shared/semaphore.ts';

export interface PodReports {
  /** Probes at most three of the pods, unless the last reports of the same pods are younger than `maxAgeMs`. */
  get(key: string, pods: readonly LivePod[], maxAgeMs: number, signal: AbortSignal): Promise<readonly NamedReport[]>;
  /** Stops polling for a deleted cache. */
  forget(key: string): void;
  /** Polls until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface PodReportsOptions {
  readonly clock: Clock;
  readonly probePod: ProbePod;
  /** The part of the reports that the status shows. `onChange` is called when it changes between two polls. */
  readonly digest: (reports: readonly NamedReport[]) => string;
  /** How long these reports stay fresh. */
  readonly pollIntervalMs: (reports: readonly NamedReport[]) => number;
  readonly onChange: (key: string) => void;
}

/** Three reports are enough for a diagnosis, and the cost does not grow with the replicas. */
const MAX_PODS = 3;
/** Bounds the open connections when the pods of hundreds of caches do not answer. */
const MAX_REQUESTS = 20;
/** How often due polls are looked for. */
const TICK_MS = 5000;

interface CachedReports {
  readonly pods: readonly LivePod[];
  readonly reports: readonly NamedReport[];
  readonly probedAtMs: number;
}

export function openPodReports({ clock, probePod, digest, pollIntervalMs, onChange }: PodReportsOptions): PodReports {
  const cached = new Map<string, CachedReports>();
  const withPermit = openSemaphore(MAX_REQUESTS);

  async function probe(pods: readonly LivePod[], signal: AbortSignal): Promise<readonly NamedReport[]> {
    const reports = await Promise.all(
      pods.map(async ({ metadata, status }) => {
        const podIp = status?.podIP;
        if (podIp === undefined || podIp === '') return [];
        const report = await withPermit(signal, () => probePod(podIp, signal));
        return report === undefined ? [] : [{ pod: metadata.name, report }];
      }),
    );
    return reports.flat();
  }

  async function poll(key: string, before: CachedReports, signal: AbortSignal): Promise<void> {
    const reports = await probe(before.pods, signal);
    // Meanwhile a reconcile has probed, perhaps other pods, or the cache was deleted.
    if (cached.get(key) !== before) return;
    cached.set(key, { ...before, reports, probedAtMs: clock.now() });
    if (digest(reports) !== digest(before.reports)) onChange(key);
  }

  return {
    async get(key, pods, maxAgeMs, signal) {
      const chosen = pods.slice(0, MAX_PODS);
      const before = cached.get(key);
      if (before !== undefined && samePods(before.pods, chosen) && clock.now() - before.probedAtMs < maxAgeMs)
        return before.reports;
      const reports = await probe(chosen, signal);
      cached.set(key, { pods: chosen, reports, probedAtMs: clock.now() });
      return reports;
    },
    forget: (key) => void cached.delete(key),
    async run(signal) {
      while (!signal.aborted) {
        const due = [...cached].filter(
          ([, { pods, reports, probedAtMs }]) => pods.length > 0 && clock.now() - probedAtMs >= pollIntervalMs(reports),
        );
        await Promise.all(due.map(([key, before]) => poll(key, before, signal))).catch(ignoreAbort(signal));
        await clock.sleep(TICK_MS, signal).catch(ignoreAbort(signal));
      }
    },
  };
}

function samePods(left: readonly LivePod[], right: readonly LivePod[]): boolean {
  const identity = ({ metadata, status }: LivePod): string => `${metadata.uid} ${status?.podIP}`;
  return left.map(identity).join() === right.map(identity).join();
}

function ignoreAbort(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
