/** The live line: what the replicas have done so far, from `GET /top` of each. */
import { formatBytes } from '#cache/cli/output/units.ts';

export interface Figures {
  readonly requests: number;
  readonly hits: number;
  readonly servedBytes: number;
  /** The served bytes by their source. */
  readonly bySource: Readonly<Record<string, number>>;
  readonly originBytes: number;
}

/** The part of the reply of `GET /top` that this needs. */
interface Top {
  readonly totals: {
    readonly requests: number;
    readonly byCache: Readonly<Record<string, number>>;
    readonly servedBytes: number;
    readonly bySource: Readonly<Record<string, number>>;
    readonly originBytes: number;
  };
}

const TIMEOUT_MS = 2_000;

/** The sum over the replicas that answer. */
export async function readFigures(ops: readonly string[]): Promise<Figures> {
  const replies = await Promise.allSettled(ops.map(topOf));
  return sumOf(replies.flatMap((reply) => (reply.status === 'fulfilled' ? [reply.value] : [])));
}

async function topOf(ops: string): Promise<Top> {
  const response = await fetch(`${ops}/top`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return (await response.json()) as Top;
}

export function sumOf(tops: readonly Top[]): Figures {
  const bySource: Record<string, number> = {};
  for (const { totals } of tops)
    for (const [source, bytes] of Object.entries(totals.bySource)) bySource[source] = (bySource[source] ?? 0) + bytes;
  const sum = (pick: (totals: Top['totals']) => number): number =>
    tops.reduce((total, { totals }) => total + pick(totals), 0);
  return {
    requests: sum(({ requests }) => requests),
    hits: sum(({ byCache }) => byCache['HIT'] ?? 0),
    servedBytes: sum(({ servedBytes }) => servedBytes),
    bySource,
    originBytes: sum(({ originBytes }) => originBytes),
  };
}

/** Names of the sources for a reader who has not seen the metrics. */
const SOURCE_NAMES: Readonly<Record<string, string>> = {
  memory: 'memory',
  store: 'cachestore',
  peer: 'another replica',
  peer_fill: 'another replica',
  fill: 'origin',
};

export function figuresLine({ requests, hits, servedBytes, bySource, originBytes }: Figures): string {
  const byName = new Map<string, number>();
  for (const [source, bytes] of Object.entries(bySource)) {
    const name = SOURCE_NAMES[source] ?? source;
    byName.set(name, (byName.get(name) ?? 0) + bytes);
  }
  const sources = [...byName].filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
  return [
    `${requests} requests, ${hits} hits`,
    `served ${formatBytes(servedBytes)}${sources.length > 0 ? ` (${sources.join(', ')})` : ''}`,
    `read from the origin ${formatBytes(originBytes)}`,
    `saved ${formatBytes(Math.max(0, servedBytes - originBytes))}`,
  ].join(' · ');
}
