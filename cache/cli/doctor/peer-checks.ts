/** Checks of what the replicas report about each other. */
import { countAt, textAt } from '#cache/cli/replies/fields.ts';
import type { PodReport } from '#cache/cli/replies/gather.ts';
import { formatDuration } from '#cache/cli/output/units.ts';
import { error, grouped, named, warning, type Check } from './check.ts';
import { answering, podName, statusCheck } from './status-check.ts';

/** Signed requests between replicas are valid for five minutes. */
const LARGE_SKEW_MS = 4 * 60_000;
/** More than the uncertainty of the measurement, and enough to confuse logs. */
const SKEW_MS = 10_000;
/** Watches are renewed every few minutes. */
const STALE_PEERS_MS = 10 * 60_000;
export const PEER_CHECKS: readonly Check[] = [
  {
    id: 'peers',
    title: 'The replicas agree about who they are',
    run(report) {
      const groups = grouped(answering(report), podName, ({ status }) => textAt(status, 'peers', 'epoch') || undefined);
      if (groups.size < 2) return [];
      const views = [...groups.values()].map((names) => named(names)).join(' and ');
      return [
        warning(
          `${views} have different lists of replicas, so chunks may be fetched twice`,
          'It ends within seconds of a rollout. If it lasts, look at the rights to list endpointslices and at the logs of the pods.',
        ),
      ];
    },
  },
  statusCheck(
    'peer-list',
    'The lists of replicas are recent',
    (status) => {
      const staleMs = countAt(status, 'peers', 'staleMs');
      return staleMs > STALE_PEERS_MS ? formatDuration(staleMs) : undefined;
    },
    (age, names) =>
      warning(
        `the list of replicas at ${names} is ${age} old`,
        'The pods cannot watch endpointslices: look at their logs and their Role.',
      ),
  ),
  {
    id: 'clocks',
    title: 'The clocks of the nodes agree',
    run({ pods }) {
      const known = pods
        .filter(({ clockAheadMs }) => clockAheadMs !== undefined)
        .toSorted((a, b) => ahead(a) - ahead(b));
      const [first, last] = [known[0], known.at(-1)];
      if (first === undefined || last === undefined || known.length < 2) return undefined;
      const skewMs = ahead(last) - ahead(first);
      if (skewMs < SKEW_MS) return [];
      const text = `the clocks of pods ${first.pod.name} and ${last.pod.name} differ by ${formatDuration(skewMs)}`;
      const remedy =
        "Synchronize the clocks of the nodes (NTP). From 5 minutes on, replicas refuse each other's requests.";
      return [skewMs > LARGE_SKEW_MS ? error(text, remedy) : warning(text, remedy)];
    },
  },
];

function ahead({ clockAheadMs }: PodReport): number {
  return clockAheadMs ?? 0;
}
