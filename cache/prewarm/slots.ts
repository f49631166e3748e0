/** A semaphore whose size may change, and that serves the caller with the lowest number first. */

interface Waiter {
  readonly order: number;
  readonly admit: () => void;
}

export class Slots {
  #size: number;
  #taken = 0;
  /** Each open object waits for at most one slot: as many as objects are open. */
  readonly #waiting: Waiter[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  resize(size: number): void {
    this.#size = size;
    this.#admit();
  }

  /** Resolves with the function that releases the slot. */
  async take(order: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.#size && this.#waiting.length === 0) this.#taken += 1;
    else await this.#turn(order, signal);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#taken -= 1;
      this.#admit();
    };
  }

  #turn(order: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason);
      };
      const waiter = {
        order,
        admit: () => {
          leave();
          this.#taken += 1;
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #admit(): void {
    while (this.#taken < this.#size && this.#waiting.length > 0)
      this.#waiting.reduce((first, other) => (other.order < first.order ? other : first)).admit();
  }
}
