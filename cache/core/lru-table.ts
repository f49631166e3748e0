/**
 * A map with an upper limit of entries and of total weight, which evicts the least recently used entries. In a large table
 * the order is approximate: an entry counts as just used for as long as few others were set, which saves most of the cost of
 * a hit.
 */

export interface TableLimits<T> {
  readonly maxEntries: number;
  /** The limit of the sum of all weights; default: no limit. */
  readonly maxWeight?: number;
  readonly weigh?: (name: string, entry: T) => number;
}

/** Smaller tables keep the exact order. */
const EXACT_ENTRIES = 1_000;
/** In larger ones an entry is moved only after as many others were set as this share of what the table can hold. */
const SLACK = 1 / 16;

interface Held<T> {
  readonly entry: T;
  readonly weight: number;
  /** The number of sets when it became the most recently used one. */
  movedAt: number;
}

export class LruTable<T> {
  readonly #limits: Required<TableLimits<T>>;
  readonly #entries = new Map<string, Held<T>>();
  #weight = 0;
  #sets = 0;

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
    const capacity = this.#capacity();
    if (capacity >= EXACT_ENTRIES && this.#sets - known.movedAt < capacity * SLACK) return known.entry;
    known.movedAt = this.#sets;
    this.#entries.delete(name);
    this.#entries.set(name, known);
    return known.entry;
  }

  /** How many entries it holds before it evicts one: as many as it may, or fewer if these are as heavy as the present ones. */
  #capacity(): number {
    const { maxEntries, maxWeight } = this.#limits;
    return this.#weight === 0 ? maxEntries : Math.min(maxEntries, (this.#entries.size * maxWeight) / this.#weight);
  }

  /** Evicts until the limits hold again, but never the entry being set, whatever its weight. */
  set(name: string, entry: T): void {
    const { maxEntries, maxWeight, weigh } = this.#limits;
    this.delete(name);
    const weight = weigh(name, entry);
    this.#entries.set(name, { entry, weight, movedAt: ++this.#sets });
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
