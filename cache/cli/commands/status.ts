/** `kubectl orca status`: how a cache is doing, on one screen. */
import { examine, troublesOf } from '#cache/cli/doctor/examine.ts';
import type { Command } from '#cache/cli/frame/command.ts';
import type { Colors } from '#cache/cli/frame/io.ts';
import { OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatFields, formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDuration, formatPercent } from '#cache/cli/output/units.ts';
import { countAt, fieldsAt, flagAt, itemsAt, numberAt, textAt } from '#cache/cli/replies/fields.ts';
import { gather, type CacheReport, type PodReport } from '#cache/cli/replies/gather.ts';
import { storeUseOf, trafficOf, windowOf } from '#cache/cli/replies/totals.ts';
import { ALL_FLAG, selectCaches, titleOf } from './doctor.ts';

export const status: Command = {
  name: 'status',
  summary: 'Show how a cache is doing: conditions, replicas, hit ratio, cachestore',
  description: `Show how a cache is doing, or all caches of the namespace: conditions, replicas, hit ratio and bytes from the origin in
the last minutes, use of the cachestore, and what is wrong.

 The hit ratio counts requests whose response had a body from the cache (X-Cache: HIT, STALE or MISS). The figures of the
last minutes cover five minutes, or less after a start. It needs get and list of orcacaches and pods, and get of
pods/proxy.`,
  args: '[CACHE]',
  maxArgs: 1,
  completes: 'cache',
  examples: [
    { title: 'All caches of the current namespace', command: 'kubectl orca status' },
    { title: 'One cache, with more about each pod', command: 'kubectl orca status models -n ml -o wide' },
    {
      title: 'The bytes that the origin sent in the last minutes',
      command: "kubectl orca status models -o json | jq '.items[0].window.originBytes'",
    },
  ],
  flags: [OUTPUT_FLAG, ALL_FLAG],
  async run(context) {
    const { clock, signal, io } = context;
    const cluster = await context.connect();
    const items: { readonly report: CacheReport; readonly summary: Summary }[] = [];
    for (const cache of await selectCaches(context)) {
      const report = await gather({ cluster, clock, signal }, cache);
      items.push({ report, summary: summaryOf(report) });
    }
    printResult(context, {
      kind: 'CacheStatus',
      data: { items: items.map(({ summary }) => summary) },
      text: (isWide) => items.map(({ report, summary }) => textOf(report, summary, isWide, io.color)).join('\n'),
    });
    return 0;
  },
};

type Summary = ReturnType<typeof summaryOf>;

function summaryOf(report: CacheReport) {
  const { cache, pods } = report;
  const { resource } = cache;
  const window = windowOf(pods);
  return {
    name: cache.name,
    namespace: cache.namespace,
    conditions: itemsAt(resource, 'status', 'conditions').map(({ type, status: value, reason, message }) => ({
      type: String(type),
      status: String(value),
      reason: String(reason),
      message: String(message),
    })),
    replicas: {
      wanted: numberAt(resource, 'spec', 'replicas') ?? numberAt(resource, 'status', 'replicas') ?? pods.length,
      ready: pods.filter(({ status: own }) => flagAt(own, 'ready')).length,
      answering: pods.filter(({ status: own }) => own !== undefined).length,
    },
    origin: { type: textAt(resource, 'spec', 'origin', 'type'), id: originIdOf(report) },
    store: storeUseOf(pods) ?? null,
    window: window ?? null,
    pods: pods.map(podOf),
    troubles: troublesOf(examine(report)),
  };
}

function originIdOf({ cache, pods }: CacheReport): string {
  const reported = pods.map(({ status: own }) => textAt(own, 'originId')).find((id) => id !== '');
  return textAt(cache.resource, 'spec', 'origin', 'id') || (reported ?? '');
}

function podOf({ pod, status: own, top, failure }: PodReport) {
  const window = top === undefined ? undefined : trafficOf(fieldsAt(top, 'window'), countAt(top, 'windowMs'));
  return {
    name: pod.name,
    node: textAt(pod.resource, 'spec', 'nodeName'),
    ready: flagAt(own, 'ready'),
    version: textAt(own, 'version'),
    configHash: textAt(own, 'configHash'),
    failure: failure?.message ?? null,
    memoryBudgetBytes: countAt(own, 'memory', 'budgetBytes'),
    memoryUsedBytes: countAt(top, 'now', 'memoryUsedBytes'),
    fillsRunning: countAt(top, 'now', 'fillsRunning'),
    window: window ?? null,
  };
}

function textOf({ cache }: CacheReport, summary: Summary, isWide: boolean, color: Colors): string {
  const { conditions, replicas, origin, window, store, pods, troubles } = summary;
  const sections = [
    `${color.bold(titleOf(cache))}\n` +
      formatFields([
        ...conditions
          .filter(({ type, status: value }) => shown(type, value))
          .map(({ type, status: value, reason, message }) => [type, `${value} (${reason}) ${message}`] as const),
        ['Replicas', `${replicas.ready} of ${replicas.wanted} ready`],
        ['Origin', [origin.type, origin.id].filter((part) => part !== '').join(' ') || '-'],
        ['Cachestore', store === null ? 'not reported' : storeText(store)],
        ['Hit ratio', window === null ? 'not reported' : hitText(window)],
        ['From origin', window === null ? 'not reported' : originText(window)],
      ]),
    podTable(pods, isWide),
  ];
  if (troubles.length > 0)
    sections.push(
      troubles
        .map(({ level, message, remedy }) => {
          const mark = level === 'error' ? color.red('ERROR') : color.yellow('WARNING');
          return `${mark}: ${printable(message)}\n  ${color.dim(printable(remedy))}\n`;
        })
        .join(''),
    );
  return sections.join('\n');
}

/** Reconciling and Stalled say something only when they are True. */
function shown(type: string, value: string): boolean {
  return (type !== 'Reconciling' && type !== 'Stalled') || value === 'True';
}

function storeText({
  state,
  usedBytes,
  capacityBytes,
  chunks,
  pinnedBytes,
  foreignBytes,
}: NonNullable<Summary['store']>): string {
  if (state === 'counting') return 'not counted yet';
  const limit =
    capacityBytes === undefined ? '' : ` of ${formatBytes(capacityBytes)} (${formatPercent(usedBytes, capacityBytes)})`;
  const others = [
    `${chunks} chunks`,
    ...(pinnedBytes > 0 ? [`${formatBytes(pinnedBytes)} pinned`] : []),
    ...(foreignBytes > 0 ? [`${formatBytes(foreignBytes)} of other caches`] : []),
    ...(state === 'ok' ? [] : [state.replaceAll('_', ' ')]),
  ];
  return `${formatBytes(usedBytes)}${limit}, ${others.join(', ')}`;
}

function hitText({
  hits,
  answered,
  requests,
  windowMs,
  clientErrors,
  serverErrors,
}: NonNullable<Summary['window']>): string {
  const errors = clientErrors + serverErrors === 0 ? '' : `, ${serverErrors} failed, ${clientErrors} refused`;
  return `${formatPercent(hits, answered)} of ${answered}; ${requests} requests in ${formatDuration(windowMs)}${errors}`;
}

function originText({ originBytes, servedBytes, originRequests }: NonNullable<Summary['window']>): string {
  return `${formatBytes(originBytes)} in ${originRequests} requests, for ${formatBytes(servedBytes)} served (${formatPercent(originBytes, servedBytes)})`;
}

function podTable(pods: Summary['pods'], isWide: boolean): string {
  const rows = pods.map((pod) => {
    const { window } = pod;
    const cells = [
      pod.name,
      pod.failure === null ? (pod.ready ? 'Yes' : 'No') : 'No answer',
      window === null ? '-' : String(window.requests),
      window === null ? '-' : formatPercent(window.hits, window.answered),
      window === null ? '-' : formatBytes(window.servedBytes),
      window === null ? '-' : formatBytes(window.originBytes),
      pod.memoryBudgetBytes === 0 ? '-' : `${formatBytes(pod.memoryUsedBytes)}/${formatBytes(pod.memoryBudgetBytes)}`,
    ];
    return isWide
      ? [...cells, pod.node || '-', pod.version || '-', pod.configHash || '-', String(pod.fillsRunning)]
      : cells;
  });
  const headings = ['POD', 'READY', 'REQUESTS', 'HITS', 'SERVED', 'ORIGIN', 'MEMORY'];
  return formatTable(isWide ? [...headings, 'NODE', 'VERSION', 'CONFIG', 'FILLS'] : headings, rows);
}
