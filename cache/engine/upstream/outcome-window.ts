/** The outcomes of the calls of the last while, in slices of time: a number for each, whatever the rate of calls is. */

/** The window moves by a sixth of its length. */
const SLICES = 6;

export interface OutageRule {
  readonly failures: number;
  readonly distinctKeys: number;
  readonly ratio: number;
  readonly windowMs: number;
}

interface Slice {
  readonly number: number;
  successes: number;
  failures: number;
  /** The keys of failed calls, at most as many as the rule needs. */
  readonly keys: Set<string>;
}

export class OutcomeWindow {
  readonly #rule: OutageRule;
  /** Oldest first. */
  #slices: Slice[] = [];
  /** Failures since the last success. */
  #row = sliceOf(0);

  constructor(rule: OutageRule) {
    this.#rule = rule;
  }

  succeeded(nowMs: number): void {
    this.#slice(nowMs).successes++;
    if (this.#row.failures > 0) this.#row = sliceOf(0);
  }

  failed(key: string, nowMs: number): void {
    const number = this.#numberAt(nowMs);
    // Failures that are further apart than the window do not belong together.
    if (number - this.#row.number > SLICES) this.#row = sliceOf(number);
    for (const slice of [this.#slice(nowMs), this.#row]) {
      slice.failures++;
      if (slice.keys.size < this.#rule.distinctKeys) slice.keys.add(key);
    }
  }

  clear(): void {
    this.#slices = [];
    this.#row = sliceOf(0);
  }

  isOutage(nowMs: number): boolean {
    this.#slice(nowMs);
    const failures = sum(this.#slices, (slice) => slice.failures);
    const calls = failures + sum(this.#slices, (slice) => slice.successes);
    const keys = new Set(this.#slices.flatMap((slice) => [...slice.keys]));
    const isMost = failures >= calls * this.#rule.ratio && this.#isEnough(failures, keys);
    return isMost || this.#isEnough(this.#row.failures, this.#row.keys);
  }

  #isEnough(failures: number, keys: ReadonlySet<string>): boolean {
    return failures >= this.#rule.failures && keys.size >= this.#rule.distinctKeys;
  }

  /** The slice of the present; drops those that have left the window. */
  #slice(nowMs: number): Slice {
    const number = this.#numberAt(nowMs);
    const last = this.#slices.at(-1);
    if (last?.number === number) return last;
    this.#slices = this.#slices.filter((slice) => slice.number > number - SLICES && slice.number < number);
    const slice = sliceOf(number);
    this.#slices.push(slice);
    return slice;
  }

  #numberAt(nowMs: number): number {
    return Math.floor((nowMs * SLICES) / this.#rule.windowMs);
  }
}

function sliceOf(number: number): Slice {
  return { number, successes: 0, failures: 0, keys: new Set() };
}

function sum(slices: readonly Slice[], count: (slice: Slice) => number): number {
  return slices.reduce((total, slice) => total + count(slice), 0);
}
