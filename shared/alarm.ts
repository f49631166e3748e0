/** A pause that can be ended early. */
import type { Clock } from './clock.ts';

export class Alarm {
  readonly #clock: Clock;
  #wake = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the pause; without one, the next pause. */
  ring(): void {
    this.#wake.abort(new Error('there is something to do'));
  }

  /** Resolves after `ms`, with `ring`, or when the signal aborts. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#wake.signal]);
    try {
      await this.#clock.sleep(ms, either);
    } catch (error) {
      if (!either.aborted) throw error;
    } finally {
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
    }
  }
}
