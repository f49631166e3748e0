/**
 * What the pods say of themselves. A reconcile asks for what it needs; in between, those who are settled are asked
 * again now and then, and a cache whose pods say something new is brought to the queue.
 */
import type { LivePod, NamedReport } from '#operator/api/observed.ts';
import type { Clock } from '#shared/clock.ts';
import { openSemaphore } from './semaphore.ts';
import type { ProbePod } from './probe-pod.ts';

export interface PodReports {
  /** Of at most three pods; asked now, unless `maxAgeMs` allows for what the same ones said before. */
  of(key: string, pods: readonly LivePod[], maxAgeMs: number, signal: AbortSignal): Promise<readonly NamedReport[]>;
  /** The cache is gone. */
  forget(key: string): void;
  /** Asks again until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface PodReportsOptions {
  readonly clock: Clock;
  readonly probePod: ProbePod;
  /** What of the reports would be told; a change of it is news. */
  readonly digest: (reports: readonly NamedReport[]) => string;
  /** How soon those who said this are worth asking again. */
  readonly pollIntervalMs: (reports: readonly NamedReport[]) => number;
  readonly onChange: (key: string) => void;
}

/** Enough to emitEvents what is the matter, and no more work for a cache of a hundred. */
const MAX_PODS = 3;
/** Hundreds of caches whose pods don't answer must not fill the process with waiting. */
const MAX_REQUESTS = 20;
/** How often it is looked who is due. */
const TICK_MS = 5000;

interface Known {
  readonly pods: readonly LivePod[];
  readonly reports: readonly NamedReport[];
  readonly askedAtMs: number;
}

export function openPodReports({ clock, probePod, digest, pollIntervalMs, onChange }: PodReportsOptions): PodReports {
  const known = new Map<string, Known>();
  const limited = openSemaphore(MAX_REQUESTS);

  async function ask(pods: readonly LivePod[], signal: AbortSignal): Promise<readonly NamedReport[]> {
    const answers = await Promise.all(
      pods.map(async ({ metadata, status }) => {
        const podIp = status?.podIP;
        if (podIp === undefined || podIp === '') return [];
        const report = await limited(() => probePod(podIp, signal));
        return report === undefined ? [] : [{ pod: metadata.name, report }];
      }),
    );
    return answers.flat();
  }

  async function askAgain(key: string, before: Known, signal: AbortSignal): Promise<void> {
    const reports = await ask(before.pods, signal);
    // A reconcile has asked meanwhile, of other pods perhaps; or the cache is gone.
    if (known.get(key) !== before) return;
    known.set(key, { ...before, reports, askedAtMs: clock.now() });
    if (digest(reports) !== digest(before.reports)) onChange(key);
  }

  return {
    async of(key, pods, maxAgeMs, signal) {
      const chosen = pods.slice(0, MAX_PODS);
      const before = known.get(key);
      if (before !== undefined && samePods(before.pods, chosen) && clock.now() - before.askedAtMs < maxAgeMs)
        return before.reports;
      const reports = await ask(chosen, signal);
      known.set(key, { pods: chosen, reports, askedAtMs: clock.now() });
      return reports;
    },
    forget: (key) => void known.delete(key),
    async run(signal) {
      while (!signal.aborted) {
        const due = [...known].filter(
          ([, { pods, reports, askedAtMs }]) => pods.length > 0 && clock.now() - askedAtMs >= pollIntervalMs(reports),
        );
        await Promise.all(due.map(([key, before]) => askAgain(key, before, signal))).catch(ignoreAbort(signal));
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
