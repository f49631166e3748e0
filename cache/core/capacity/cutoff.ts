/**
 * Which chunks are evicted: the least recently used ones, down to the low watermark. A chunk that was read once ages four times
 * as fast as one that was read again, so that a scan of cold data takes the place of other cold data first.
 */
import type { Histogram } from './histogram.ts';

export interface EvictionFigures {
  readonly usedBytes: number;
  /** Undefined = no limit. */
  readonly capacityBytes: number | undefined;
  /** In per cent: eviction begins above it. */
  readonly highWatermark: number;
  /** In per cent: eviction ends near it. */
  readonly lowWatermark: number;
  /** What the last plan returned. */
  readonly isEvicting: boolean;
  /** What may be evicted: without pinned and young chunks. */
  readonly histogram: Histogram;
  readonly nowMinute: number;
}

export interface EvictionPlan {
  readonly isEvicting: boolean;
  /** Chunks whose `effectiveMinute` is below this fraction are evicted. Undefined = none. */
  readonly cutoffMinute: number | undefined;
  /** How much is to be freed; 0 without a cutoff. */
  readonly freeBytes: number;
  /** Everything that is left is pinned or too young. */
  readonly blocked?: 'nothing_evictable';
}

/** Between the watermarks: eviction ends near the low one. Otherwise commits of the same time would prolong it. */
const TOLERANCE = 0.1;
/**
 * How much faster a chunk ages that was read once. With 4, the hit ratio is that of an exact LRU with the whole capacity,
 * although the store is 85 % full on average; with 1 it is 4 to 6 % lower. With 8 it would be higher for steady traffic, but lower
 * when other data becomes popular.
 */
const ONCE_SPEED = 4;

export function planEviction(figures: EvictionFigures): EvictionPlan {
  const { usedBytes, capacityBytes, nowMinute } = figures;
  const highBytes = share(capacityBytes, figures.highWatermark);
  const lowBytes = share(capacityBytes, figures.lowWatermark);
  const endBytes = lowBytes + (highBytes - lowBytes) * TOLERANCE;
  const isEvicting = usedBytes > highBytes || (figures.isEvicting && usedBytes > endBytes);
  if (!isEvicting) return { isEvicting: false, cutoffMinute: undefined, freeBytes: 0 };
  const freeBytes = usedBytes - lowBytes;
  const { cutoffMinute, freedBytes } = cutoffFor(freeBytes, figures.histogram, nowMinute);
  // Only pinned and young chunks are left: that is enough below the high watermark.
  if (freedBytes === 0 && usedBytes <= highBytes) return { isEvicting: false, cutoffMinute: undefined, freeBytes: 0 };
  const plan = { isEvicting, cutoffMinute, freeBytes };
  return usedBytes - freedBytes > highBytes ? { ...plan, blocked: 'nothing_evictable' } : plan;
}

/** What `effectiveMinute` needs of a ledger's record. */
export interface ReadState {
  readonly minute: number;
  readonly isProven: boolean;
}

/**
 * The minute that is compared with a cutoff. A chunk without a record was last read when it was stored. A chunk that was
 * read once ages faster. `low` of the chunk's key orders the chunks of one minute, so that a cutoff can
 * divide them.
 */
export function effectiveMinute(
  record: ReadState | undefined,
  modifiedMinute: number,
  low: number,
  nowMinute: number,
): number {
  // A clock that is ahead must not protect a chunk for longer than others.
  const minute = Math.min(record?.minute ?? modifiedMinute, nowMinute);
  return aged(minute + low / 2 ** 32, record?.isProven ?? false, nowMinute);
}

function aged(minute: number, isProven: boolean, nowMinute: number): number {
  const now = nowMinute + 1;
  return isProven ? minute : now - ONCE_SPEED * (now - minute);
}

function share(capacityBytes: number | undefined, percent: number): number {
  return capacityBytes === undefined ? Number.POSITIVE_INFINITY : (capacityBytes * percent) / 100;
}

/** Where the bytes of a class and minute begin or end to be below a cutoff, and how many there are per minute. */
interface Edge {
  readonly at: number;
  readonly bytesPerMinute: number;
}

/**
 * The lowest cutoff that frees `freeBytes`. An entry's bytes are taken as spread evenly over its minute: `low` of the keys
 * spreads them so. The walk follows the edges of all entries in order of time, and adds up the bytes before each.
 */
function cutoffFor(
  freeBytes: number,
  histogram: Histogram,
  nowMinute: number,
): { readonly cutoffMinute: number | undefined; readonly freedBytes: number } {
  const edges = edgesOf(histogram, nowMinute);
  let [at, freedBytes, bytesPerMinute] = [0, 0, 0];
  for (const edge of edges) {
    const bytes = bytesPerMinute * (edge.at - at);
    if (bytes > 0 && freedBytes + bytes >= freeBytes)
      return { cutoffMinute: at + (freeBytes - freedBytes) / bytesPerMinute, freedBytes: freeBytes };
    freedBytes += bytes;
    bytesPerMinute += edge.bytesPerMinute;
    at = edge.at;
  }
  // Not even all bytes are enough: all are evicted.
  return { cutoffMinute: edges.at(-1)?.at, freedBytes: histogram.totalBytes };
}

function edgesOf(histogram: Histogram, nowMinute: number): Edge[] {
  const edges: Edge[] = [];
  const add = (minute: number, bytes: number, isProven: boolean): void => {
    if (bytes === 0) return;
    const [from, to] = [aged(minute, isProven, nowMinute), aged(minute + 1, isProven, nowMinute)];
    const bytesPerMinute = bytes / (to - from);
    edges.push({ at: from, bytesPerMinute }, { at: to, bytesPerMinute: -bytesPerMinute });
  };
  for (const entry of histogram.entries()) {
    const minute = Math.min(entry.minute, nowMinute);
    add(minute, entry.provenBytes, true);
    add(minute, entry.onceBytes, false);
  }
  return edges.toSorted((a, b) => a.at - b.at);
}
