/** A pause that can be ended early. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';

export class Alarm {
  readonly #clock: Clock;
  #wake = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the pause; without one, the next pause. */
  ring(): void {
    this.#wake.abort(new OrcaError('cancelled', 'there is something to do'));
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
