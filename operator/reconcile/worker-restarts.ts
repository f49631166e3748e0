/**
 * Which workers of the pods are restarted again and again. It makes no pod unready, so no condition shows it: it is an
 * event, and a rare one.
 */
import { EVENT_REASON } from '#operator/api/event-reasons.ts';
import type { NamedReport } from '#operator/api/observed.ts';
import type { Transition } from '#operator/status/transitions.ts';

/** One restart may be a bug that occurs once a month; three of the same worker are a pattern. */
const MANY_RESTARTS = 3;

export interface WorkerRestarts {
  /** The events that these reports of a cache deserve. */
  eventsOf(key: string, reports: readonly NamedReport[]): readonly Transition[];
  forget(key: string): void;
}

interface Known {
  readonly restarts: number;
  /** The number of restarts that is worth the next event. */
  readonly nextAt: number;
}

export function openWorkerRestarts(): WorkerRestarts {
  /** By cache, then by pod and worker: the few pods of the last reports. */
  const known = new Map<string, ReadonlyMap<string, Known>>();
  return {
    eventsOf(key, reports) {
      // If no pod has responded, what is known stays.
      if (reports.length === 0) return [];
      const before = known.get(key);
      const after = new Map<string, Known>();
      const events = reports.flatMap(({ pod, report }) =>
        report.workers.flatMap(({ index, restarts }) => {
          const id = `${pod} ${index}`;
          const last = before?.get(id);
          // Restarts before the first report may be days old. Fewer than before: the container was restarted.
          const isFirst = last === undefined || restarts < last.restarts;
          const isMany = !isFirst && restarts >= last.nextAt;
          // A worker that crashes every ten seconds causes an event after 3, 6, 12, 24 restarts.
          const nextAt = isFirst || isMany ? Math.max(restarts + MANY_RESTARTS, restarts * 2) : last.nextAt;
          after.set(id, { restarts, nextAt });
          return isMany ? [eventOf(pod, index, restarts)] : [];
        }),
      );
      known.set(key, after);
      return events;
    },
    forget: (key) => void known.delete(key),
  };
}

function eventOf(pod: string, index: number, restarts: number): Transition {
  return {
    type: 'Warning',
    reason: EVENT_REASON.workerRestarted,
    message: `worker ${index} of pod ${pod} has been restarted ${restarts} times: kubectl logs ${pod} shows why`,
  };
}

/** Changes with each restart. */
export function restartsDigest(reports: readonly NamedReport[]): readonly number[] {
  return reports.flatMap(({ report }) => report.workers.map(({ restarts }) => restarts));
}
