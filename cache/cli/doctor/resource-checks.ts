/** Checks of what the pods may use, and whether it is enough. */
import { parseResource } from '#crds/quantity.ts';
import { countAt, itemsAt, numberAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import type { PodReport } from '#cache/cli/replies/gather.ts';
import { formatBytes } from '#cache/cli/output/units.ts';
import { error, warning, type Check, type Trouble } from './check.ts';
import { answering, perText } from './status-check.ts';

/** Once may be a drain or an update of the node. */
const MANY_RESTARTS = 3;
/** Heap, code, sockets and TLS beside the budget: docs/guides/sizing.md. */
const BESIDE_BUDGET_BYTES = 256 * 1024 * 1024;
/** One event loop, and threads for TLS, hashes and files. */
const FEW_CPUS = 1;

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
      perText(
        pods,
        ({ pod }) => lowCpu(pod.resource),
        (limit, names) =>
          warning(
            `the CPU limit of ${limit} throttles ${names}`,
            'Leave out the CPU limit and request what is needed, or allow at least 1 CPU.',
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
  return budgetBytes + BESIDE_BUDGET_BYTES <= limitBytes
    ? []
    : [
        error(
          `pod ${pod.name} may use ${formatBytes(budgetBytes)} for chunks, and its limit is ${limit}`,
          `Leave ${formatBytes(BESIDE_BUDGET_BYTES)} beside the budget: lower spec.memory.budget, or raise spec.pod.resources.limits.memory.`,
        ),
      ];
}

function lowCpu(pod: Fields | undefined): string | undefined {
  const limits = itemsAt(pod, 'spec', 'containers').map((container) => textAt(container, 'resources', 'limits', 'cpu'));
  const [limit = ''] = limits;
  const cpus = limit === '' ? undefined : parseResource(limit);
  return cpus !== undefined && cpus < FEW_CPUS ? limit : undefined;
}
