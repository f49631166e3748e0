/** How things end, for those that wait for it; for the others it costs nothing. */
export class Outcomes<T> {
  readonly #awaited = new Map<T, PromiseWithResolvers<boolean>>();

  /** Whether it succeeds in the end. */
  of(item: T): Promise<boolean> {
    const awaited = this.#awaited.get(item) ?? Promise.withResolvers<boolean>();
    this.#awaited.set(item, awaited);
    return awaited.promise;
  }

  settle(item: T, succeeded: boolean): void {
    this.#awaited.get(item)?.resolve(succeeded);
    this.#awaited.delete(item);
  }
}
