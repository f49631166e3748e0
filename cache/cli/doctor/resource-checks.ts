/** Checks of what the pods may use, and whether it is enough. */
import { parseResource } from '#crds/quantity.ts';
import { WORKER_RESERVE_BYTES } from '#crds/schema/workers.ts';
import { countAt, itemsAt, numberAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import type { PodReport } from '#cache/cli/replies/gather.ts';
import { formatBytes } from '#cache/cli/output/units.ts';
import { error, warning, type Check, type Trouble } from './check.ts';
import { answering, perText } from './status-check.ts';

/** Once may be a drain or an update of the node. */
const MANY_RESTARTS = 3;
/** Heap, code, sockets and TLS beside the budget: docs/guides/sizing.md. */
const BESIDE_BUDGET_BYTES = 256 * 1024 * 1024;
/** One event loop, and threads for TLS, hashes and files: for each worker. */
const CPUS_PER_WORKER = 1;

export const RESOURCE_CHECKS: readonly Check[] = [
  {
    id: 'restarts',
    title: 'The pods do not restart',
    run: ({ pods }) =>
      pods.flatMap(({ pod }) =>
        itemsAt(pod.resource, 'status', 'containerStatuses').flatMap((status) => restartTrouble(pod.name, status)),
      ),
  },
  {
    id: 'workers',
    title: 'The workers of the pods run',
    run: (report) => answering(report).flatMap(workerTroubles),
  },
  {
    id: 'memory',
    title: 'The memory limit fits the budget',
    run: (report) => answering(report).flatMap(memoryTrouble),
  },
  {
    id: 'memory-waits',
    title: 'Requests do not wait for memory',
    run: (report) =>
      answering(report).flatMap(({ pod, top }) => {
        const waiting = countAt(top, 'now', 'waitingNew') + countAt(top, 'now', 'waitingStarted');
        return waiting === 0
          ? []
          : [
              warning(
                `${waiting} requests wait for memory at pod ${pod.name}`,
                'If it lasts: raise spec.pod.resources.limits.memory, or spec.replicas. See docs/guides/sizing.md.',
              ),
            ];
      }),
  },
  {
    id: 'cpu',
    title: 'The CPU limit does not throttle',
    run: ({ pods }) =>
      perText(pods, lowCpu, (limit, names) =>
        warning(
          `${limit} throttles ${names}`,
          'Leave out the CPU limit and request what is needed, or allow at least 1 CPU for each worker.',
        ),
      ),
  },
];

function restartTrouble(pod: string, status: Fields): readonly Trouble[] {
  const restarts = countAt(status, 'restartCount');
  const reason = textAt(status, 'lastState', 'terminated', 'reason') || textAt(status, 'state', 'waiting', 'reason');
  if (reason === 'OOMKilled')
    return [
      error(
        `pod ${pod} exceeded its memory limit (${restarts} restarts)`,
        'Raise spec.pod.resources.limits.memory, or lower spec.memory.budget.',
      ),
    ];
  if (restarts < MANY_RESTARTS && reason !== 'CrashLoopBackOff') return [];
  return [
    error(
      `pod ${pod} has restarted ${restarts} times${reason === '' ? '' : `: ${reason}`}`,
      `kubectl logs ${pod} --previous shows why.`,
    ),
  ];
}

function memoryTrouble({ pod, status }: PodReport): readonly Trouble[] {
  const budgetBytes = numberAt(status, 'memory', 'budgetBytes');
  const limits = itemsAt(pod.resource, 'spec', 'containers').map((container) =>
    textAt(container, 'resources', 'limits', 'memory'),
  );
  const [limit = ''] = limits;
  const limitBytes = limit === '' ? undefined : parseResource(limit);
  if (budgetBytes === undefined || limitBytes === undefined) return [];
  const workers = workersOf(status);
  const besideBytes = workers === 1 ? BESIDE_BUDGET_BYTES : workers * WORKER_RESERVE_BYTES;
  const forWorkers = workers === 1 ? '' : ` for its ${workers} workers`;
  return budgetBytes + besideBytes <= limitBytes
    ? []
    : [
        error(
          `pod ${pod.name} may use ${formatBytes(budgetBytes)} for chunks, and its limit is ${limit}`,
          `Leave ${formatBytes(besideBytes)}${forWorkers} beside the budget: lower spec.memory.budget, or raise spec.pod.resources.limits.memory.`,
        ),
      ];
}

function lowCpu({ pod, status }: PodReport): string | undefined {
  const limits = itemsAt(pod.resource, 'spec', 'containers').map((container) =>
    textAt(container, 'resources', 'limits', 'cpu'),
  );
  const [limit = ''] = limits;
  const cpus = limit === '' ? undefined : parseResource(limit);
  const workers = workersOf(status);
  if (cpus === undefined || cpus >= workers * CPUS_PER_WORKER) return undefined;
  return `the CPU limit of ${limit}${workers === 1 ? '' : ` for ${workers} workers`}`;
}

/** A pod of an older release has one, and does not report it. */
function workersOf(status: Fields | undefined): number {
  return Math.max(1, itemsAt(status, 'workers').length);
}

function workerTroubles({ pod, status }: PodReport): readonly Trouble[] {
  return itemsAt(status, 'workers').flatMap((worker) => {
    const restarts = countAt(worker, 'restarts');
    const isDown = textAt(worker, 'state') === 'restarting';
    if (restarts < MANY_RESTARTS && !isDown) return [];
    const text = `worker ${countAt(worker, 'index')} of pod ${pod.name} has been restarted ${restarts === 1 ? 'once' : `${restarts} times`}`;
    return [
      warning(
        `${text}${isDown ? ' and is not running now' : ''}`,
        `kubectl logs ${pod.name} shows why: look for "worker". The other workers of the pod serve meanwhile.`,
      ),
    ];
  });
}
