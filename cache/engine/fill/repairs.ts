/**
 * Which chunks were overwritten lately because they were corrupt. A chunk that is corrupt again so soon points to a
 * faulty store, which another overwrite would not fix.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Independent errors in one chunk are further apart. */
const REPAIR_AGAIN_MS = 10 * 60_000;
/** A store with more corrupt chunks in ten minutes has been noticed by then. */
const MAX_REMEMBERED = 1_000;

export class Repairs {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #repairedMs = new Map<ChunkPath, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the chunk may be overwritten now; if so, records the repair. */
  begin(path: ChunkPath): boolean {
    const nowMs = this.#clock.now();
    const lastMs = this.#repairedMs.get(path);
    if (lastMs !== undefined && nowMs - lastMs < REPAIR_AGAIN_MS) return false;
    this.#repairedMs.delete(path);
    this.#repairedMs.set(path, nowMs);
    for (const oldest of this.#repairedMs.keys()) {
      if (this.#repairedMs.size <= MAX_REMEMBERED) break;
      this.#repairedMs.delete(oldest);
    }
    return true;
  }
}
