/** A pass as a person reads it, and what must be true of it. */
import type { Counts } from './counts.ts';
import type { PassResult } from './passes.ts';
import { exact, megabytesPerSecond, percent, seconds, table } from './table.ts';

export interface Pass {
  readonly title: string;
  readonly result: PassResult;
  /** Of the objects that nobody had read before: so much the origin must give, and no more. */
  readonly coldBytes: number;
  /** Undefined where pods came and went: what they counted went with them. */
  readonly counts: Counts | undefined;
  /** Bytes at the origin as the proxy saw them. */
  readonly originBytes: number;
  readonly originRequests: number;
}

const SOURCE_ORDER = ['memory', 'store', 'peer', 'peer_fill', 'fill'];
const SOURCE_WORD: Readonly<Record<string, string>> = {
  fill: 'origin',
  peer: 'another pod',
  peer_fill: 'origin by another pod',
  store: 'cachestore',
};

/** How often the origin gave each byte; empty where it had to give none. */
function duplicationOf({ originBytes, coldBytes }: Pass): string {
  return coldBytes === 0 ? '' : (originBytes / coldBytes).toFixed(2);
}

/** The lines of one pass. */
export function describePass(pass: Pass): string[] {
  const { result, counts, coldBytes, originBytes, originRequests } = pass;
  const again = result.retries === 0 ? '' : `; ${result.retries} reads were begun again`;
  const lines = [
    `read         ${result.reads} × of ${result.objects} objects, ${exact(result.readBytes)} bytes in ${seconds(result.durationMs)} s: ${megabytesPerSecond(result.readBytes, result.durationMs)} MB/s, all equal to the source${again}`,
    `from origin  ${exact(originBytes)} bytes in ${exact(originRequests)} requests, counted by the proxy`,
  ];
  if (counts !== undefined)
    lines.push(
      `             ${exact(counts.own.bytes)} bytes in ${exact(counts.own.requests)} requests, by the pods' own metrics`,
    );
  if (coldBytes > 0)
    lines.push(
      `duplication  ${duplicationOf(pass)}: origin bytes ÷ ${exact(coldBytes)} bytes that nobody had read before`,
    );
  if (counts === undefined) return lines;
  lines.push(`hits         ${hitsOf(counts)} with X-Cache: HIT; bytes from ${sourcesOf(counts)}`);
  if (counts.trouble.size > 0)
    lines.push(`trouble      ${[...counts.trouble].map(([what, count]) => `${count} × ${what}`).join(', ')}`);
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
    .map(([source, bytes]) => `${SOURCE_WORD[source] ?? source} ${percent(bytes, all)}`)
    .join(', ');
}

/** All passes side by side. */
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
  ).concat('hits: the share of the bytes read that the origin did not have to give');
}

/** What is wrong with a pass; bytes that differ have ended it before. */
export function mistakesOf({ title, counts, originBytes, coldBytes }: Pass): string[] {
  // A pod that goes takes its numbers along, and may take a fill along that another has to repeat.
  if (counts === undefined) return [];
  const { proxy, own } = counts;
  const mistakes: string[] = [];
  // Two opinions that must be one.
  if (proxy.bytes !== own.bytes)
    mistakes.push(`the proxy counted ${exact(proxy.bytes)} bytes from the origin, the pods ${exact(own.bytes)}`);
  if (proxy.requests !== own.requests)
    mistakes.push(`the proxy counted ${proxy.requests} requests to the origin, the pods ${own.requests}`);
  if (originBytes !== coldBytes)
    mistakes.push(`${exact(originBytes)} bytes came from the origin instead of ${exact(coldBytes)}`);
  if (counts.committedBytes !== coldBytes)
    mistakes.push(`${exact(counts.committedBytes)} bytes are new in the cachestore instead of ${exact(coldBytes)}`);
  return mistakes.map((mistake) => `${title}: ${mistake}`);
}
