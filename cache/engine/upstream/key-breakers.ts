/**
 * Circuit breakers of single objects: an object that always fails is refused at once, and takes no other object with
 * it. A breaker exists from an object's first failure to its next success.
 */
import type { Clock } from '#cache/engine/ports.ts';
import { Breaker, type BreakerCall, type BreakerSettings } from './circuit-breaker.ts';

/** As many objects as an outage of a part of a bucket may affect; more failures open the bucket's own breaker. */
const MAX_KEYS = 1_000;

export class KeyBreakers {
  readonly #settings: BreakerSettings;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #breakers = new Map<string, Breaker>();

  constructor(settings: BreakerSettings, clock: Clock) {
    this.#settings = { ...settings, distinctKeys: 1 };
    this.#clock = clock;
  }

  get count(): number {
    return this.#breakers.size;
  }

  async run<T>(
    bucket: string,
    about: BreakerCall,
    isFailure: (error: unknown) => boolean,
    call: () => Promise<T>,
  ): Promise<T> {
    const name = `${bucket}/${about.key}`;
    const known = this.#breakers.get(name);
    try {
      const answer = await (known === undefined ? call() : known.run(about, isFailure, call));
      if (known?.state === 'closed') this.#breakers.delete(name);
      return answer;
    } catch (error) {
      if (known === undefined && isFailure(error)) this.#failed(name, about);
      throw error;
    }
  }

  /** The first failure, or one of a call that began before it. */
  #failed(name: string, about: BreakerCall): void {
    const breaker =
      this.#breakers.get(name) ??
      new Breaker({ ...this.#settings, name: `${this.#settings.name}'s object ${name}` }, this.#clock);
    this.#breakers.set(name, breaker);
    const [oldest] = this.#breakers.keys();
    if (this.#breakers.size > MAX_KEYS && oldest !== undefined) this.#breakers.delete(oldest);
    breaker.failed(about.key);
  }
}
