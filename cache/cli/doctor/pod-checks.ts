/** Checks of the cache's resource, its pods, and the way to them. */
import { countAt, fieldsAt, itemsAt, numberAt, textAt, textsAt, type Fields } from '#cache/cli/replies/fields.ts';
import type { PodReport } from '#cache/cli/replies/gather.ts';
import { error, grouped, named, warning, type Check, type Trouble } from './check.ts';
import { answering, perText, podName } from './status-check.ts';

export const POD_CHECKS: readonly Check[] = [
  {
    id: 'access',
    title: 'The pods respond',
    run: ({ pods }) => [
      ...unanswered(pods, 'forbidden', (message) =>
        error(
          `you may not ask the pods: ${message}`,
          'Ask for the verb get on pods/proxy in the namespace of the cache.',
        ),
      ),
      ...unanswered(pods, 'unreachable', (message, names) =>
        error(
          `${names} cannot be reached: ${message}`,
          'Look at the logs of the pod. If it is ready, a network policy may block the API server: allow it to reach port 8442.',
        ),
      ),
      ...unanswered(pods, 'other', (message, names) =>
        warning(`${names} gives no status: ${message}`, 'Update the cache and this program to the same release.'),
      ),
    ],
  },
  {
    id: 'conditions',
    title: 'The conditions of the cache are good',
    run: ({ cache }) =>
      cache.resource === undefined
        ? undefined
        : itemsAt(cache.resource, 'status', 'conditions').flatMap(conditionTrouble),
  },
  {
    id: 'operator',
    title: 'The operator has seen the spec',
    run({ cache: { resource } }) {
      if (resource === undefined) return undefined;
      const generation = countAt(resource, 'metadata', 'generation');
      const observed = numberAt(resource, 'status', 'observedGeneration') ?? -1;
      return observed >= generation
        ? []
        : [
            error(
              `generation ${generation} of the spec has not been processed; the last one was ${observed}`,
              'Look at the operator: kubectl -n orcacache-system logs deploy/orcacache-operator. Its namespace may be another one.',
            ),
          ];
    },
  },
  {
    id: 'replicas',
    title: 'All replicas run',
    run({ cache: { resource }, pods }) {
      if (resource === undefined) return undefined;
      const wanted = numberAt(resource, 'spec', 'replicas') ?? numberAt(resource, 'status', 'replicas');
      const ready = pods.filter(({ pod }) => isReady(pod.resource)).length;
      if (pods.length === 0) return [error('there are no pods', 'kubectl describe orca shows why none was created.')];
      if (wanted === undefined || ready >= wanted) return [];
      const waiting = pods.filter(({ pod }) => !isReady(pod.resource)).map(podName);
      const who = waiting.length === 0 ? '' : `: ${named(waiting)} not ready`;
      return [
        (ready === 0 ? error : warning)(
          `${ready} of ${wanted} replicas are ready${who}`,
          'kubectl describe pod shows what it waits for.',
        ),
      ];
    },
  },
  {
    id: 'readiness',
    title: 'Every check of the pods passes',
    run: (report) =>
      perText(answering(report), failingChecks, (text, names) =>
        warning(
          `${text} (${names})`,
          'The message names the cause; kubectl orca doctor looks at buckets and the cachestore in more detail.',
        ),
      ),
  },
  {
    id: 'releases',
    title: 'All pods run one release',
    run: (report) =>
      differing(answering(report), 'version', 'releases', 'A rollout ends this; kubectl rollout status shows it.'),
  },
  {
    id: 'configuration',
    title: 'All pods have one configuration',
    run: (report) =>
      differing(
        answering(report),
        'configHash',
        'configurations',
        'A rollout ends this; kubectl describe orca shows what it waits for.',
      ),
  },
  {
    id: 'runtime-settings',
    title: 'The settings that change at run time are valid',
    run: (report) =>
      perText(
        answering(report),
        ({ status }) => textsAt(status, 'runtime', 'problems')[0],
        (text, names) =>
          warning(
            `${names} keeps an older value: ${text}`,
            'Correct the field; the pods read it again within a minute or two.',
          ),
      ),
  },
  {
    id: 'nodes',
    title: 'The replicas are on several nodes',
    run({ pods }) {
      const nodes = pods.map(({ pod }) => textAt(pod.resource, 'spec', 'nodeName')).filter((node) => node !== '');
      return nodes.length < 2 || new Set(nodes).size > 1
        ? []
        : [
            warning(
              `all ${nodes.length} replicas are on node ${nodes[0]}`,
              'Losing it loses the cache: add nodes, or see spec.pod.topologySpreadConstraints.',
            ),
          ];
    },
  },
];

function unanswered(
  pods: readonly PodReport[],
  kind: string,
  troubleOf: (message: string, names: string) => Trouble,
): Trouble[] {
  const failed = pods.filter(({ failure }) => failure?.kind === kind);
  const [first] = failed;
  return first?.failure === undefined ? [] : [troubleOf(first.failure.message, named(failed.map(podName)))];
}

function conditionTrouble(condition: Fields): readonly Trouble[] {
  const { type, status, reason, message } = condition;
  const isBad = type === 'Stalled' ? status === 'True' : type === 'Reconciling' ? false : status === 'False';
  if (!isBad) return [];
  const text = `${String(type)}=${String(status)} ${String(reason)}: ${String(message)}`;
  const remedy = `docs/operations/conditions.md has the remedy for ${String(reason)}.`;
  return [type === 'Ready' || type === 'Stalled' ? error(text, remedy) : warning(text, remedy)];
}

function failingChecks({ status }: PodReport): string | undefined {
  const checks = Object.entries(fieldsAt(status, 'checks'));
  const failing = checks.filter(([, check]) => fieldsAt(check)['ok'] === false);
  return failing.length === 0
    ? undefined
    : failing.map(([name, check]) => `${name}: ${textAt(check, 'message')}`).join('; ');
}

function differing(pods: readonly PodReport[], field: string, noun: string, remedy: string): readonly Trouble[] {
  const groups = grouped(pods, podName, ({ status }) => textAt(status, field) || undefined);
  if (groups.size < 2) return [];
  const parts = [...groups].map(([value, names]) => `${value} (${named(names)})`);
  return [warning(`the pods run ${groups.size} ${noun}: ${parts.join(', ')}`, remedy)];
}

function isReady(pod: Fields | undefined): boolean {
  return itemsAt(pod, 'status', 'conditions').some(({ type, status }) => type === 'Ready' && status === 'True');
}
