/**
 * The pace of one response's client. When the client stalls, the code that holds memory for it is notified and releases
 * that memory: the bytes can be fetched again, from the offset that was reached.
 */

export interface Pace {
  /** The client stalled lately: nothing is fetched for it ahead of time. */
  readonly isSlow: boolean;
  /** Calls `listener` each time the client is found stalled; returns the unsubscribe function. */
  onStall(listener: () => void): () => void;
}

/** The writable end of a pace, held by the code that writes to the client's socket. */
export class ReaderPace implements Pace {
  /** Most responses have none. */
  #listeners: Set<() => void> | undefined;
  #isSlow = false;

  get isSlow(): boolean {
    return this.#isSlow;
  }

  onStall(listener: () => void): () => void {
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  stalled(): void {
    this.#isSlow = true;
    for (const listener of this.#listeners ?? []) listener();
  }

  recovered(): void {
    this.#isSlow = false;
  }
}
