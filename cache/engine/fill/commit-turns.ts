/**
 * When filled chunks are committed. A commit costs as much CPU time as the response to the client that reads the chunk, and
 * no client waits for it. So it waits while clients read from fills, for a limited time and with limited memory.
 */
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** A client reads some hundred MiB meanwhile. A replica that ends earlier has lost as much work. */
const MAX_WAIT_MS = 1_000;
/** The share of the memory budget for chunks that wait. Beyond it a commit begins with each chunk that is filled. */
const SHARE = 1 / 8;

interface Waiting {
  readonly lengthBytes: number;
  readonly go: () => void;
}

export class CommitTurns {
  readonly #memory: Pick<ChunkMemory, 'budgetBytes' | 'isRelaxed'>;
  readonly #clock: Clock;
  /** Fills with readers. */
  readonly #read = new Set<object>();
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>();
  #waitingBytes = 0;

  constructor(memory: Pick<ChunkMemory, 'budgetBytes' | 'isRelaxed'>, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  /** Clients read from the fill, or they do not any more. */
  follow(fill: object, isRead: boolean): void {
    if (isRead) this.#read.add(fill);
    else if (this.#read.delete(fill) && this.#read.size === 0) this.hurry();
  }

  /** Resolves when a commit of that size may begin. */
  async wait(lengthBytes: number): Promise<void> {
    if (this.#read.size === 0 || !this.#memory.isRelaxed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting: Waiting = {
      lengthBytes,
      go: () => {
        cancelTimer();
        this.#waiting.delete(waiting);
        this.#waitingBytes -= lengthBytes;
        resolve();
      },
    };
    const cancelTimer = this.#clock.after(MAX_WAIT_MS, waiting.go);
    this.#waiting.add(waiting);
    this.#waitingBytes += lengthBytes;
    for (const oldest of this.#waiting) {
      if (this.#waitingBytes <= this.#memory.budgetBytes * SHARE) break;
      oldest.go();
    }
    await promise;
  }

  /** All that wait begin now: their memory is needed, or nothing is to be done before them. */
  hurry(): void {
    for (const { go } of this.#waiting) go();
  }
}
