/**
 * Readers that go through an object in small ranges, each of which begins where the one before it ended. Such a
 * reader needs the next chunk as a whole, like one that reads everything at once.
 */
import type { SequenceSoFar } from '#cache/core/sparse.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { ByteRange } from '#cache/core/object.ts';

/** Random readers leave an entry with each read; readers in sequence renew theirs. About 1 MB. */
const MAX_ENTRIES = 4_096;

export class Sequences {
  /** By the object and the offset at which the last read ended. */
  readonly #ends = new LruTable<SequenceSoFar>({ maxEntries: MAX_ENTRIES });

  /** Records a read; returns the sequence of which it is the end. `prefix` names the object's version. */
  continue(prefix: string, { from, to }: ByteRange): SequenceSoFar {
    const before = this.#ends.get(`${prefix}${from}`);
    const sequence = { reads: (before?.reads ?? 0) + 1, askedBytes: (before?.askedBytes ?? 0) + to - from };
    this.#ends.set(`${prefix}${to}`, sequence);
    return sequence;
  }

  /** A read whose sequence was not recorded has reached the end of a chunk in memory: it went through that chunk. */
  passed(prefix: string, to: number, chunkSizeBytes: number): void {
    this.#ends.set(`${prefix}${to}`, { reads: 1, askedBytes: chunkSizeBytes });
  }
}
