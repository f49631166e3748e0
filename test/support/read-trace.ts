/**
 * Traces of reads for eviction: chunks of equal size by popularity, and scans. A trace is a function of its seed. The
 * reference for its hit ratio is an exact LRU.
 */
import { versionOf } from './capacity.ts';

export interface TraceRead {
  readonly chunk: number;
  /** A client that reads everything once, in order. */
  readonly isScan: boolean;
}

export interface TraceOptions {
  readonly seed: number;
  readonly reads: number;
  /** How many chunks there are; their popularity follows Zipf's law. */
  readonly chunks: number;
  readonly exponent: number;
  /** The share of reads that belong to scans. */
  readonly scanShare: number;
  /** A scan reads this many neighboring chunks. */
  readonly scanChunks: number;
}

/** In [0, 1): a counter, mixed as in SplitMix32. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Numbers below `count`, of which number n is drawn in proportion to 1 / (n + 1)^exponent. */
export function zipf(count: number, exponent: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let at = 0; at < count; at++) sums[at] = sum += 1 / (at + 1) ** exponent;
  return () => {
    const wanted = random() * sum;
    let [from, to] = [0, count - 1];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (sums[middle]! <= wanted) from = middle + 1;
      else to = middle;
    }
    return from;
  };
}

export function* readTrace(options: TraceOptions): Generator<TraceRead> {
  const { reads, chunks, scanShare, scanChunks } = options;
  const random = randomOf(options.seed);
  const popular = zipf(chunks, options.exponent, random);
  // Popular chunks are not neighbors: 7919 is prime.
  const place = (rank: number): number => (rank * 7919) % chunks;
  let next = 0;
  let left = 0;
  for (let read = 0; read < reads; read++) {
    if (random() >= scanShare) {
      yield { chunk: place(popular()), isScan: false };
      continue;
    }
    if (left-- <= 0) [next, left] = [Math.floor(random() * chunks), scanChunks];
    yield { chunk: next++ % chunks, isScan: true };
  }
}

/** The least recently used chunk is evicted when another one needs its place. */
export class ExactLru {
  readonly #chunks = new Set<number>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether the chunk was there. */
  read(chunk: number, _passedMs?: number): boolean {
    const isHit = this.#chunks.delete(chunk);
    this.#chunks.add(chunk);
    for (const oldest of this.#chunks) {
      if (this.#chunks.size <= this.#capacity) break;
      this.#chunks.delete(oldest);
    }
    return isHit;
  }
}

/** Files of eight chunks. */
export function tracePath(originId: string, chunk: number): string {
  return `${originId}/${versionOf(Math.floor(chunk / 8))}/${chunk % 8}`;
}
