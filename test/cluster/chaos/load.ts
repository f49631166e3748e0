/** Reads that continue during a fault: known objects at an even rate, and new ones at a rate in bytes per second. */
import { setTimeout as delay } from 'node:timers/promises';
import { LARGE, LARGE_BYTES, newKey, SMALL } from './objects.ts';
import type { Reader } from './reader.ts';
import type { Tally } from './tally.ts';

const KIB = 1024;
const TICK_MS = 20;
/** More reads at once would only measure the speed of this machine. */
const MAX_RUNNING = 64;
/** Maximum number of new objects read at once, so that early ones finish before much later ones begin. */
const MAX_COLD = 8;
/** Every fourth read of a known object is a span of a large one. */
const LARGE_EVERY = 4;
const SPAN_BYTES = 128 * KIB;

export interface LoadOptions {
  readonly reader: Reader;
  readonly tally: Tally;
  /** Reads of known objects per second. */
  readonly warmPerSecond: number;
  /** Total rate for objects that were not read before; 0 disables them. */
  readonly coldBytesPerSecond: number;
  readonly coldObjectBytes: number;
  /** Part of the new objects' names. */
  readonly name: string;
}

export interface Load {
  /** Bytes of new objects that were read completely; each byte counts once. */
  readonly coldBytes: number;
  /** Starts no further reads, and resolves when the running ones have ended. */
  stop(): Promise<void>;
}

export function startLoad(options: LoadOptions): Load {
  const { reader, tally, name } = options;
  const running = new Set<Promise<unknown>>();
  const startedMs = performance.now();
  let stopped = false;
  let warmReads = 0;
  let coldBytes = 0;
  let coldObjects = 0;
  let coldRunning = 0;

  function warmRead(): void {
    const turn = warmReads;
    const isLarge = turn % LARGE_EVERY === 0;
    const key = isLarge ? LARGE[(turn / LARGE_EVERY) % LARGE.length]! : SMALL[turn % SMALL.length]!;
    const from = (turn * 7_919 * KIB) % (LARGE_BYTES - SPAN_BYTES);
    const reading = reader.read(key, isLarge ? { from, to: from + SPAN_BYTES } : undefined);
    running.add(reading);
    void reading.finally(() => running.delete(reading));
  }

  async function warm(): Promise<void> {
    while (!stopped) {
      await delay(TICK_MS);
      const due = ((performance.now() - startedMs) / 1000) * options.warmPerSecond;
      for (; warmReads < due; warmReads++) {
        if (running.size < MAX_RUNNING) warmRead();
        else tally.skipped += 1;
      }
    }
  }

  async function cold(): Promise<void> {
    let taken = 0;
    while (!stopped) {
      const aheadMs = (taken / options.coldBytesPerSecond) * 1000 - (performance.now() - startedMs);
      if (aheadMs > 0 || coldRunning >= MAX_COLD) {
        await delay(Math.min(Math.max(aheadMs, TICK_MS), 500));
        continue;
      }
      taken += options.coldObjectBytes;
      coldRunning += 1;
      const reading = reader.read(newKey(`${name}-${coldObjects++}`, options.coldObjectBytes)).then((outcome) => {
        coldRunning -= 1;
        if (outcome === 'read') coldBytes += options.coldObjectBytes;
      });
      running.add(reading);
      void reading.finally(() => running.delete(reading));
    }
  }

  const loops = [warm(), ...(options.coldBytesPerSecond > 0 ? [cold()] : [])];
  return {
    get coldBytes() {
      return coldBytes;
    },
    async stop() {
      stopped = true;
      await Promise.all(loops);
      await Promise.all(running);
    },
  };
}
