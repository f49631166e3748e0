/** A condition variable for one waiting reader: `wait` resolves at the next `wake`; a wake without a wait is lost. */
export class Waiter {
  #wake: (() => void) | undefined;

  get isWaiting(): boolean {
    return this.#wake !== undefined;
  }

  wait(): Promise<void> {
    return new Promise<void>((resolve) => (this.#wake = resolve));
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
