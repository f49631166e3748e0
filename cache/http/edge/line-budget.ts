/**
 * A limit of log lines a second: a client that repeats a request, or an outage under load, must not fill the log or the
 * event loop with lines.
 */

export class LineBudget {
  readonly #perSecond: number;
  #second = Number.NEGATIVE_INFINITY;
  #used = 0;
  #suppressed = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** How many lines were suppressed since the last one that was allowed; undefined = suppress this one too. */
  take(nowMs: number): number | undefined {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#used = 0;
    }
    if (this.#used >= this.#perSecond) {
      this.#suppressed++;
      return undefined;
    }
    this.#used++;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}
