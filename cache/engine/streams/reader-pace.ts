/**
 * How the reader of a response takes its bytes. Who holds memory for one that has stopped is told, and gives it back: the
 * bytes are there to be asked for again, at the offset that was reached.
 */

export interface Pace {
  /** It stopped lately: nothing is fetched for it before it is needed. */
  readonly isSlow: boolean;
  /** Calls back each time the reader is found to take nothing; returns how to unsubscribe. */
  onStall(listener: () => void): () => void;
}

/** The end of a pace that the reader's side holds. */
export class ReaderPace implements Pace {
  readonly #listeners = new Set<() => void>();
  #isSlow = false;

  get isSlow(): boolean {
    return this.#isSlow;
  }

  onStall(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stalled(): void {
    this.#isSlow = true;
    for (const listener of this.#listeners) listener();
  }

  recovered(): void {
    this.#isSlow = false;
  }
}
