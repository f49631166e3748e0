/** All kinds of readers at once, each at an even rate; which object and which bytes is the seed's choice. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '#test/simulation/random.ts';
import type { Client, ReadOptions } from './client.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TICK_MS = 20;
/** More under way than this says that the machine is too slow for the load, which then waits. */
const MAX_RUNNING = 250;
const CROWD = 30;
const SLOW_BYTES_PER_SECOND = 200 * KIB;
const MAX_CANCEL_MS = 600;

export const WARM: readonly string[] = Array.from({ length: 48 }, (_, i) => `warm/${i}-${16 * KIB + i * i * 2_111}`);
const LARGE: readonly string[] = Array.from({ length: 6 }, (_, i) => `large/${i}-${48 * MIB + i * 12_345}`);
/** Never read whole. */
const HUGE: readonly string[] = Array.from({ length: 40 }, (_, i) => `huge/${i}-${10 * GIB + i}`);

/** Reads a second; as much as leaves half of two cores to what goes wrong. */
const RATES = {
  warm: 30,
  span: 15,
  block: 20,
  cold: 0.5,
  cancelled: 3,
  crowd: 0.1,
  slow: 0.2,
} as const;

export interface LoadOptions {
  readonly client: Client;
  readonly edges: readonly string[];
  readonly random: Random;
  /** No read begins after it. */
  readonly signal: AbortSignal;
  /** Part of the names of objects that nobody has read before. */
  readonly name: string;
}

/** Resolves when all reads have ended. */
export async function runLoad({ client, edges, random, signal, name }: LoadOptions): Promise<void> {
  const running = new Set<Promise<void>>();
  let fresh = 0;
  const read = (key: string, options?: ReadOptions): void => {
    const reading = client.read(random.pick(edges), key, options);
    running.add(reading);
    void reading.finally(() => running.delete(reading));
  };
  const freshKey = (sizeBytes: number): string => `cold/${name}-${fresh++}-${sizeBytes}`;
  const span = (key: string, sizeBytes: number, alignedTo: number): ReadOptions => {
    const total = Number(key.split('-').at(-1));
    const from = Math.floor(random.int(0, total - sizeBytes) / alignedTo) * alignedTo;
    return { from, to: from + sizeBytes };
  };
  const kinds: Record<keyof typeof RATES, () => void> = {
    warm: () => read(random.pick(WARM)),
    span() {
      const key = random.pick(LARGE);
      read(key, span(key, random.int(1, MIB), 1));
    },
    block() {
      const key = random.pick(HUGE);
      const total = Number(key.split('-').at(-1));
      // Footers are what everybody reads first.
      read(key, random.chance(0.3) ? { from: total - 4 * KIB, to: total } : span(key, 4 * KIB, 4 * KIB));
    },
    cold: () => read(freshKey(random.int(MIB, 16 * MIB))),
    cancelled: () => read(freshKey(12 * MIB), { cancelAfterMs: random.int(1, MAX_CANCEL_MS) }),
    crowd() {
      const key = freshKey(8 * MIB);
      for (let i = 0; i < CROWD; i++) read(key);
    },
    slow: () => read(random.pick(LARGE), { from: 0, to: 2 * MIB, bytesPerSecond: SLOW_BYTES_PER_SECOND }),
  };
  const startedMs = performance.now();
  const begun = new Map<string, number>();
  while (!signal.aborted) {
    await delay(TICK_MS);
    for (const kind of Object.keys(RATES) as (keyof typeof RATES)[]) {
      const due = ((performance.now() - startedMs) / 1000) * RATES[kind];
      for (let i = begun.get(kind) ?? 0; i < due; i++) {
        begun.set(kind, i + 1);
        if (running.size < MAX_RUNNING) kinds[kind]();
      }
    }
  }
  await Promise.all(running);
}
