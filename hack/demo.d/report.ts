/** Describes a pass for the terminal, and checks its numbers. */
import type { Counts } from './counts.ts';
import type { PassResult } from './passes.ts';
import { exact, megabytesPerSecond, percent, seconds, table } from './table.ts';

export interface Pass {
  readonly title: string;
  readonly result: PassResult;
  /** Size of the objects that were not cached before: the origin must send exactly this many bytes. */
  readonly coldBytes: number;
  /** Undefined if a pod was deleted, because its counters are lost. */
  readonly counts: Counts | undefined;
  /** Bytes from the origin, counted by the proxy. */
  readonly originBytes: number;
  readonly originRequests: number;
}

const SOURCE_ORDER = ['memory', 'store', 'peer', 'peer_fill', 'fill'];
const SOURCE_LABEL: Readonly<Record<string, string>> = {
  fill: 'origin',
  peer: 'another pod',
  peer_fill: 'origin by another pod',
  store: 'cachestore',
};

/** How often the origin sent each byte; empty if the pass needs no bytes from it. */
function duplicationOf({ originBytes, coldBytes }: Pass): string {
  return coldBytes === 0 ? '' : (originBytes / coldBytes).toFixed(2);
}

/** The lines of one pass. */
export function describePass(pass: Pass): string[] {
  const { result, counts, coldBytes, originBytes, originRequests } = pass;
  const retries = result.retries === 0 ? '' : `; ${result.retries} reads were retried`;
  const lines = [
    `read         ${result.reads} × of ${result.objects} objects, ${exact(result.readBytes)} bytes in ${seconds(result.durationMs)} s: ${megabytesPerSecond(result.readBytes, result.durationMs)} MB/s, all equal to the source${retries}`,
    `from origin  ${exact(originBytes)} bytes in ${exact(originRequests)} requests, counted by the proxy`,
  ];
  if (counts !== undefined)
    lines.push(
      `             ${exact(counts.own.bytes)} bytes in ${exact(counts.own.requests)} requests, counted by the pods' metrics`,
    );
  if (coldBytes > 0)
    lines.push(
      `duplication  ${duplicationOf(pass)}: origin bytes ÷ ${exact(coldBytes)} bytes that were not cached before`,
    );
  if (counts === undefined) return lines;
  lines.push(`hits         ${hitsOf(counts)} with X-Cache: HIT; bytes from ${sourcesOf(counts)}`);
  if (counts.anomalies.size > 0)
    lines.push(`anomalies    ${[...counts.anomalies].map(([what, count]) => `${count} × ${what}`).join(', ')}`);
  const filled = counts.pods.reduce((sum, { fills }) => sum + fills, 0);
  if (filled > 0) {
    const rows = counts.pods.map(({ name, node, fills }) => [
      name,
      node,
      `${fills} of ${filled}`,
      percent(fills, filled),
    ]);
    lines.push(
      '',
      ...table(
        [
          { title: 'pod', align: 'left' },
          { title: 'node', align: 'left' },
          { title: 'chunks filled' },
          { title: 'share' },
        ],
        rows,
      ),
    );
  }
  return lines;
}

function hitsOf({ requestsByCache }: Counts): string {
  const all = [...requestsByCache.values()].reduce((sum, count) => sum + count, 0);
  return `${requestsByCache.get('HIT') ?? 0} of ${all} requests`;
}

function sourcesOf({ bytesBySource }: Counts): string {
  const all = [...bytesBySource.values()].reduce((sum, bytes) => sum + bytes, 0);
  return [...bytesBySource]
    .toSorted(([a], [b]) => SOURCE_ORDER.indexOf(a) - SOURCE_ORDER.indexOf(b))
    .map(([source, bytes]) => `${SOURCE_LABEL[source] ?? source} ${percent(bytes, all)}`)
    .join(', ');
}

/** A table of all passes. */
export function summary(passes: readonly Pass[]): string[] {
  return table(
    [
      { title: 'pass', align: 'left' },
      { title: 'objects' },
      { title: 'object bytes' },
      { title: 'bytes read' },
      { title: 's' },
      { title: 'MB/s' },
      { title: 'origin bytes' },
      { title: 'requests' },
      { title: 'duplication' },
      { title: 'hits' },
    ],
    passes.map((pass) => {
      const { title, result, originBytes, originRequests } = pass;
      return [
        title,
        exact(result.objects),
        exact(result.objectBytes),
        exact(result.readBytes),
        seconds(result.durationMs),
        megabytesPerSecond(result.readBytes, result.durationMs),
        exact(originBytes),
        exact(originRequests),
        duplicationOf(pass),
        percent(Math.max(0, result.readBytes - originBytes), result.readBytes),
      ];
    }),
  ).concat('hits: the share of the bytes read that did not come from the origin');
}

/** What is wrong with the numbers of a pass. Wrong bytes have already ended the demo. */
export function problemsOf({ title, counts, originBytes, coldBytes }: Pass): string[] {
  // The counters of a deleted pod are lost, and another pod may have to repeat its fills.
  if (counts === undefined) return [];
  const { proxy, own } = counts;
  const problems: string[] = [];
  if (proxy.bytes !== own.bytes)
    problems.push(`the proxy counted ${exact(proxy.bytes)} bytes from the origin, the pods ${exact(own.bytes)}`);
  if (proxy.requests !== own.requests)
    problems.push(`the proxy counted ${proxy.requests} requests to the origin, the pods ${own.requests}`);
  if (originBytes !== coldBytes)
    problems.push(`${exact(originBytes)} bytes came from the origin instead of ${exact(coldBytes)}`);
  if (counts.committedBytes !== coldBytes)
    problems.push(`${exact(counts.committedBytes)} bytes are new in the cachestore instead of ${exact(coldBytes)}`);
  return problems.map((problem) => `${title}: ${problem}`);
}
