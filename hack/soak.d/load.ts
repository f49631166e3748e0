/** The load of the soak test: all kinds of reads, each at a constant rate, with objects and ranges chosen by the seed. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '#test/simulation/random.ts';
import type { Client, ReadOptions } from './client.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TICK_MS = 20;
/** Limit of concurrent reads: above it the machine is too slow for the load, and reads are skipped. */
const MAX_RUNNING = 250;
const BURST_CLIENTS = 30;
const SLOW_BYTES_PER_SECOND = 200 * KIB;
const MAX_CANCEL_MS = 600;
const FOOTER_SHARE = 0.3;

export const WARM: readonly string[] = Array.from({ length: 48 }, (_, i) => `warm/${i}-${16 * KIB + i * i * 2_111}`);
const LARGE: readonly string[] = Array.from({ length: 6 }, (_, i) => `large/${i}-${48 * MIB + i * 12_345}`);
/** Read in small blocks only. */
const HUGE: readonly string[] = Array.from({ length: 40 }, (_, i) => `huge/${i}-${10 * GIB + i}`);

/** Reads per second; together they use about half of two cores. */
const RATES = {
  warm: 30,
  span: 15,
  block: 20,
  cold: 0.5,
  cancelled: 3,
  burst: 0.1,
  slow: 0.2,
} as const;
type Kind = keyof typeof RATES;

export interface LoadOptions {
  readonly client: Client;
  readonly edges: readonly string[];
  readonly random: Random;
  /** No read starts after it aborts. */
  readonly signal: AbortSignal;
  /** Part of the keys of objects that no earlier load has read. */
  readonly name: string;
}

/** Resolves when all reads have ended. */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { client, edges, random, signal } = options;
  const running = new Set<Promise<void>>();
  const reads = readsOf(options, (key, readOptions) => {
    const reading = client.read(random.pick(edges), key, readOptions);
    running.add(reading);
    void reading.finally(() => running.delete(reading));
  });
  const startedMs = performance.now();
  const started = new Map<Kind, number>();
  while (!signal.aborted) {
    await delay(TICK_MS);
    for (const kind of Object.keys(RATES) as Kind[]) {
      const due = ((performance.now() - startedMs) / 1000) * RATES[kind];
      for (let i = started.get(kind) ?? 0; i < due; i++) {
        started.set(kind, i + 1);
        if (running.size < MAX_RUNNING) reads[kind]();
      }
    }
  }
  await Promise.all(running);
}

function readsOf(
  { random, name }: LoadOptions,
  read: (key: string, options?: ReadOptions) => void,
): Record<Kind, () => void> {
  let fresh = 0;
  const freshKey = (sizeBytes: number): string => `cold/${name}-${fresh++}-${sizeBytes}`;
  const span = (key: string, lengthBytes: number, alignmentBytes: number): ReadOptions => {
    const from = Math.floor(random.int(0, sizeOf(key) - lengthBytes) / alignmentBytes) * alignmentBytes;
    return { from, to: from + lengthBytes };
  };
  return {
    warm: () => read(random.pick(WARM)),
    span() {
      const key = random.pick(LARGE);
      read(key, span(key, random.int(1, MIB), 1));
    },
    block() {
      const key = random.pick(HUGE);
      const size = sizeOf(key);
      // Readers of columnar formats read the footer first.
      read(key, random.chance(FOOTER_SHARE) ? { from: size - 4 * KIB, to: size } : span(key, 4 * KIB, 4 * KIB));
    },
    cold: () => read(freshKey(random.int(MIB, 16 * MIB))),
    cancelled: () => read(freshKey(12 * MIB), { cancelAfterMs: random.int(1, MAX_CANCEL_MS) }),
    burst() {
      const key = freshKey(8 * MIB);
      for (let i = 0; i < BURST_CLIENTS; i++) read(key);
    },
    slow: () => read(random.pick(LARGE), { from: 0, to: 2 * MIB, bytesPerSecond: SLOW_BYTES_PER_SECOND }),
  };
}

/** The size at the end of a key. */
function sizeOf(key: string): number {
  return Number(key.split('-').at(-1));
}
