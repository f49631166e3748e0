/** A body of which every byte is in memory: a reader that can write them at once need not wait for a promise of each. */
import type { Piece } from './piece.ts';

export class KnownPieces implements AsyncGenerator<Piece, void, void> {
  readonly #pieces: readonly Piece[];
  #taken = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** All pieces that were not taken yet. As after `next`, the caller releases them. */
  takeAll(): readonly Piece[] {
    const rest = this.#taken === 0 ? this.#pieces : this.#pieces.slice(this.#taken);
    this.#taken = this.#pieces.length;
    return rest;
  }

  async next(): Promise<IteratorResult<Piece, void>> {
    const piece = this.#pieces[this.#taken];
    if (piece === undefined) return { done: true, value: undefined };
    this.#taken++;
    return { done: false, value: piece };
  }

  /** Releases the pieces that were not taken. */
  async return(): Promise<IteratorResult<Piece, void>> {
    for (const piece of this.takeAll()) piece.release();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<Piece, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
