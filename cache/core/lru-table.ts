/** A table that forgets what was used longest ago, once there is too much of it. */

export interface TableLimits<T> {
  readonly maxEntries: number;
  /** Of all entries together, in whatever `weigh` says; default: not weighed. */
  readonly maxWeight?: number;
  readonly weigh?: (name: string, entry: T) => number;
}

export class LruTable<T> {
  readonly #limits: Required<TableLimits<T>>;
  readonly #entries = new Map<string, { readonly entry: T; readonly weight: number }>();
  #weight = 0;

  constructor({ maxEntries, maxWeight = Number.POSITIVE_INFINITY, weigh = () => 0 }: TableLimits<T>) {
    this.#limits = { maxEntries: Math.max(1, maxEntries), maxWeight, weigh };
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  get(name: string): T | undefined {
    const known = this.#entries.get(name);
    if (known === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, known);
    return known.entry;
  }

  /** The newest stays, however much it weighs. */
  set(name: string, entry: T): void {
    const { maxEntries, maxWeight, weigh } = this.#limits;
    this.delete(name);
    const weight = weigh(name, entry);
    this.#entries.set(name, { entry, weight });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (oldest === name || (this.#entries.size <= maxEntries && this.#weight <= maxWeight)) return;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    this.#weight -= this.#entries.get(name)?.weight ?? 0;
    this.#entries.delete(name);
  }
}
