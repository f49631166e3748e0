/** One reader of a sparse range, through runs of blocks: some are in memory, others in flight. */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { BlockRun, HeldRun, BlockTable } from '#cache/engine/fill/block-table.ts';
import type { FlightReader } from '#cache/engine/fill/flight.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';

interface Step {
  readonly run: BlockRun | HeldRun;
  /** For a run in flight; joined from the start, so that it is not abandoned before its turn. */
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
      if (run === undefined) throw new OrcaError('internal', 'a requested block is missing in the block table');
      if ('flight' in run) run.flight.learnVersion(chunk.object.versionId);
      const wanted = { from: at - run.from, to: Math.min(range.to, run.to) - run.from };
      this.#steps.push({ run, reader: 'flight' in run ? run.flight.join(wanted, signal) : undefined });
      at = run.to;
    }
  }

  /** Whether any run is still in flight. */
  get isWaiting(): boolean {
    return this.#steps.some(({ reader }) => reader !== undefined);
  }

  /** `bytes`: read on; `stored`: the cachestore has the chunk. Rejects when the read fails before it began. */
  async opened(): Promise<'bytes' | 'stored'> {
    return (await this.#steps[0]?.reader?.opened()) ?? 'bytes';
  }

  /** The next piece; undefined at the end. Rejects with `chunk_missing` when the blocks were evicted. */
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
      throw new OrcaError('chunk_missing', 'the chunk was stored while a block of it was read');
    return reader.next();
  }

  #held(run: BlockRun | HeldRun): Piece | undefined {
    const to = Math.min(this.#range.to, run.to);
    if (this.#at >= to || !('bytes' in run)) return undefined;
    if (run.bytes.isDropped) throw new OrcaError('chunk_missing', 'the blocks were evicted from memory');
    return run.bytes.piece(this.#at - run.from, to - run.from, 'memory');
  }
}
