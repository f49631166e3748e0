/** `kubectl orca top`: what the replicas do now, redrawn every second on a terminal. */
import type { Command } from '#cache/cli/frame/command.ts';
import type { Io } from '#cache/cli/frame/io.ts';
import { UsageError } from '#cache/cli/frame/errors.ts';
import { OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatTable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDuration, formatPercent, parseDuration } from '#cache/cli/output/units.ts';
import { countAt, fieldsAt, itemsAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import { gather, type CacheReport } from '#cache/cli/replies/gather.ts';
import { selectCaches, titleOf } from './doctor.ts';

/** More often would be a load, and people do not read faster. */
const MIN_INTERVAL_MS = 500;
const CLEAR = '\u001b[H\u001b[2J';
const SLOWEST = 8;
const SOURCES = ['memory', 'store', 'peer', 'peer_fill', 'fill'] as const;

export const top: Command = {
  name: 'top',
  summary: 'Watch what the replicas do: requests, bytes by source, fills, slowest requests',
  description: `Watch what the replicas do: requests and bytes by the second, where the bytes come from, fills and requests to the origin in
progress, and the slowest requests of the last half minute.

 On a terminal it is redrawn until Ctrl-C. Otherwise, or with --once, it prints one table: the averages of the last
minutes. Rates are those since the last redraw.`,
  args: '[CACHE]',
  maxArgs: 1,
  completes: 'cache',
  examples: [
    { title: 'Watch a cache', command: 'kubectl orca top models' },
    { title: 'One table, for a report', command: 'kubectl orca top models --once' },
  ],
  flags: [
    OUTPUT_FLAG,
    { name: 'interval', default: '1s', description: 'The time between two redraws, at least 500ms.' },
    { name: 'once', isSwitch: true, description: 'Print one table and exit.' },
  ],
  async run(context) {
    const { flags, io, clock, signal } = context;
    const intervalMs = intervalOf(flags.text('interval') ?? '');
    const cluster = await context.connect();
    const caches = await selectCaches(context);
    const [cache] = caches;
    if (cache === undefined || caches.length > 1)
      throw new UsageError(`name one cache: ${caches.map(({ name }) => name).join(', ')}`);
    const look = (): Promise<CacheReport> => gather({ cluster, clock, signal }, cache);
    const first = await look();
    if (flags.has('once') || !io.isTerminal || flags.text('output') !== undefined) {
      const data = { name: cache.name, namespace: cache.namespace, ...dataOf(first, undefined) };
      printResult(context, { kind: 'Activity', data, text: () => screenOf(first, undefined, io) });
      return 0;
    }
    let before = first;
    // Averages at first, so that the screen is not empty for an interval.
    io.out(CLEAR + fit(screenOf(first, undefined, io), io));
    try {
      for (;;) {
        await clock.sleep(intervalMs, signal);
        const now = await look();
        io.out(CLEAR + fit(screenOf(now, before, io), io));
        before = now;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return 0;
    }
  },
};

type Data = ReturnType<typeof dataOf>;

/** Rates since `before`, or over the window that the pods keep. */
function dataOf(now: CacheReport, before: CacheReport | undefined) {
  return {
    pods: now.pods.map((report) => {
      const { pod, top: own, failure } = report;
      const earlier = before?.pods.find((other) => other.pod.name === pod.name)?.top;
      return { name: pod.name, failure: failure?.message ?? null, ...ratesOf(own, earlier), now: fieldsAt(own, 'now') };
    }),
    slowest: now.pods
      .flatMap(({ pod, top: own }) => itemsAt(own, 'slowest').map((request) => ({ pod: pod.name, ...slowOf(request) })))
      .toSorted((a, b) => b.durationMs - a.durationMs)
      .slice(0, SLOWEST),
  };
}

function ratesOf(own: Fields | undefined, earlier: Fields | undefined) {
  const [from, to, ms] =
    earlier === undefined
      ? [{}, fieldsAt(own, 'window'), countAt(own, 'windowMs')]
      : [fieldsAt(earlier, 'totals'), fieldsAt(own, 'totals'), countAt(own, 'dateMs') - countAt(earlier, 'dateMs')];
  // After a restart the counters are smaller than before.
  const rate = (...path: string[]): number =>
    ms <= 0 ? 0 : Math.max(0, (countAt(to, ...path) - countAt(from, ...path)) / (ms / 1000));
  return {
    requestsPerSecond: rate('requests'),
    errorsPerSecond: rate('serverErrors'),
    hitsPerSecond: rate('byCache', 'HIT') + rate('byCache', 'STALE'),
    missesPerSecond: rate('byCache', 'MISS'),
    servedBytesPerSecond: rate('servedBytes'),
    originBytesPerSecond: rate('originBytes'),
    bytesPerSecondBySource: Object.fromEntries(SOURCES.map((source) => [source, rate('bySource', source)])),
  };
}

function slowOf(request: Fields) {
  return {
    durationMs: countAt(request, 'durationMs'),
    method: textAt(request, 'method'),
    status: countAt(request, 'status'),
    cache: textAt(request, 'cache'),
    bucket: textAt(request, 'bucket'),
    key: textAt(request, 'key'),
  };
}

function screenOf(now: CacheReport, before: CacheReport | undefined, { color }: Io): string {
  const { pods, slowest } = dataOf(now, before);
  const rows = pods.map((pod) => [pod.name, ...cellsOf([pod])]);
  if (pods.length > 1) rows.push(['all', ...cellsOf(pods)]);
  const bySource = SOURCES.map((source) => {
    const bytes = pods.reduce((sum, pod) => sum + (pod.bytesPerSecondBySource[source] ?? 0), 0);
    return `${source.replace('_', ' ')} ${formatBytes(bytes)}/s`;
  });
  const silent = pods.filter(({ failure }) => failure !== null).map(({ name }) => name);
  return [
    `${color.bold(titleOf(now.cache))}   served from: ${bySource.join(', ')}\n`,
    formatTable(
      ['POD', 'REQ/S', 'ERR/S', 'HITS', 'SERVED/S', 'ORIGIN/S', 'FILLS', 'ORIGIN', 'WAITING', 'MEMORY'],
      rows,
    ),
    ...(silent.length === 0 ? [] : [color.yellow(`no answer: ${silent.join(', ')}\n`)]),
    ...(slowest.length === 0 ? [] : [slowTable(slowest)]),
  ].join('\n');
}

function cellsOf(pods: Data['pods']): string[] {
  const total = (valueOf: (pod: Data['pods'][number]) => number): number =>
    pods.reduce((sum, pod) => sum + valueOf(pod), 0);
  const now = (name: string): number => total((pod) => countAt(pod.now, name));
  const hits = total((pod) => pod.hitsPerSecond);
  return [
    rounded(total((pod) => pod.requestsPerSecond)),
    rounded(total((pod) => pod.errorsPerSecond)),
    formatPercent(hits, hits + total((pod) => pod.missesPerSecond)),
    formatBytes(total((pod) => pod.servedBytesPerSecond)),
    formatBytes(total((pod) => pod.originBytesPerSecond)),
    String(now('fillsRunning')),
    `${now('originRunning')}/${now('originSlots')}`,
    String(now('waitingNew') + now('waitingStarted') + now('originQueued')),
    `${formatBytes(now('memoryUsedBytes'))}/${formatBytes(now('memoryBudgetBytes'))}`,
  ];
}

function slowTable(slowest: Data['slowest']): string {
  return formatTable(
    ['SLOWEST', 'STATUS', 'CACHE', 'POD', 'REQUEST'],
    slowest.map(({ durationMs, status, cache, pod, method, bucket, key }) => [
      secondsOf(durationMs),
      String(status),
      cache,
      pod,
      `${method} ${bucket === '' ? '/' : `s3://${bucket}/${key}`}`,
    ]),
  );
}

/** `850ms`, `4.2s`, `35s`: below ten seconds a tenth matters. */
function secondsOf(ms: number): string {
  return ms >= 1_000 && ms < 10_000 ? `${(ms / 1_000).toFixed(1)}s` : formatDuration(ms);
}

function rounded(value: number): string {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

/** A line that wraps would push the first lines out of the screen. */
function fit(screen: string, io: Io): string {
  const { columns, rows } = io.size();
  return screen
    .split('\n')
    .slice(0, rows - 1)
    .map((line) => (line.includes('\u001b') ? line : line.slice(0, columns)))
    .join('\n');
}

function intervalOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < MIN_INTERVAL_MS)
    throw new UsageError(`--interval '${text}' is not a duration of at least 500ms, such as 1s`);
  return ms;
}
