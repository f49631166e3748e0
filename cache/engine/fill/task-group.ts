/** Tasks that may start further ones while they run. */
export class TaskGroup {
  readonly #onFailure: (error: unknown) => void;
  readonly #started: Promise<void>[] = [];
  #failure: { readonly error: unknown } | undefined;

  /** `onFailure` is called once, with the first failure: it ends the other tasks. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  start(task: Promise<void>): void {
    this.#started.push(task.catch((error: unknown) => this.#failed(error)));
  }

  /** Resolves when all have ended; rejects then with the first failure. */
  async ended(): Promise<void> {
    // One after the other: the list may grow meanwhile.
    for (const task of this.#started) await task;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #failed(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#onFailure(error);
  }
}
