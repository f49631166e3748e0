/** One reader's way through the runs of blocks that hold its range, some of them here and some on their way. */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { FlightReader } from '#cache/engine/fill/flight.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import type { BlockRun, HeldRun, BlockTable } from '#cache/engine/fill/block-table.ts';

interface Step {
  readonly run: BlockRun | HeldRun;
  /** Where the run is still on its way; joined from the start, so that it is not given up before its turn. */
  readonly reader: FlightReader | undefined;
}

export class SparseReader {
  readonly #range: ByteRange;
  readonly #steps: Step[] = [];
  #at: number;

  /** Every block of the range is in the table now. */
  constructor(table: BlockTable, chunk: Chunk, range: ByteRange, signal: AbortSignal) {
    this.#range = range;
    this.#at = range.from;
    for (let at = range.from; at < range.to;) {
      const run = table.runAt(chunk.path, at);
      if (run === undefined) throw new OrcaError('internal', 'a block is not in the table that was put there');
      const wanted = { from: at - run.from, to: Math.min(range.to, run.to) - run.from };
      this.#steps.push({ run, reader: 'flight' in run ? run.flight.join(wanted, signal) : undefined });
      at = run.to;
    }
  }

  /** Something of it is still on its way. */
  get waits(): boolean {
    return this.#steps.some(({ reader }) => reader !== undefined);
  }

  /** `bytes`: read on; `stored`: the cachestore has the chunk. Rejects when the read fails before it began. */
  async opened(): Promise<'bytes' | 'stored'> {
    return (await this.#steps[0]?.reader?.opened()) ?? 'bytes';
  }

  /** The next piece; undefined at the end. Rejects with `chunk_missing` when the blocks have left memory. */
  async next(): Promise<Piece | undefined> {
    for (let step = this.#steps[0]; step !== undefined; step = this.#steps[0]) {
      const piece = step.reader === undefined ? this.#held(step.run) : await this.#arriving(step.reader);
      if (piece !== undefined) {
        this.#at += piece.bytes.length;
        return piece;
      }
      this.#steps.shift();
      step.reader?.close();
    }
    return undefined;
  }

  close(): void {
    for (const { reader } of this.#steps.splice(0)) reader?.close();
  }

  async #arriving(reader: FlightReader): Promise<Piece | undefined> {
    if ((await reader.opened()) === 'stored')
      throw new OrcaError('chunk_missing', 'the chunk was stored while a part of it was read');
    return reader.next();
  }

  #held(run: BlockRun | HeldRun): Piece | undefined {
    const to = Math.min(this.#range.to, run.to);
    if (this.#at >= to || !('bytes' in run)) return undefined;
    if (run.bytes.isDropped) throw new OrcaError('chunk_missing', 'the blocks have left memory');
    return run.bytes.piece(this.#at - run.from, to - run.from, 'memory');
  }
}
