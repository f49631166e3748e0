/**
 * Protects a cachestore from two origins with the same id. Chunk names contain the origin's id, which users choose; two
 * origins with one id in one cachestore would serve each other's objects. So the id is registered there with a
 * fingerprint of the origin, and a cache that finds another fingerprint serves nothing.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';

const TIMEOUT_MS = 5_000;
/** While the identity is not known: a cachestore that recovers is checked again soon. */
const RETRY_MS = 5_000;
/** Another cache may register after us in a store that was emptied. */
const RECHECK_MS = 10 * 60_000;

export type IdentityState = 'unknown' | 'ours' | 'conflict';

export interface OriginIdentityOptions {
  readonly store: ChunkStore;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly originId: string;
  /**
   * What distinguishes this origin from another: type, endpoint and account, or the identity that the user configured.
   */
  readonly fingerprint: string | undefined;
  /** Called when the id is registered for this origin: commits may begin. */
  readonly onOurs: () => void;
}

export class OriginIdentity {
  readonly #options: OriginIdentityOptions;
  #state: IdentityState = 'unknown';
  #registered = '';

  constructor(options: OriginIdentityOptions) {
    this.#options = options;
    if (options.fingerprint === undefined) this.#state = 'ours';
  }

  get state(): IdentityState {
    return this.#state;
  }

  /** The error for every request while another origin is registered under this id. */
  refusal(): OrcaError | undefined {
    if (this.#state !== 'conflict') return undefined;
    const { originId, fingerprint } = this.#options;
    return new OrcaError(
      'store_unavailable',
      `origin.id ${originId} is registered in this cachestore for ${this.#registered}, but this cache's origin is ${fingerprint}: choose another origin.id, or set origin.identity if the endpoint has moved`,
    );
  }

  /**
   * Reads the registration, and registers if it is missing. A store that does not answer leaves the state unchanged.
   */
  async check(signal: AbortSignal): Promise<IdentityState> {
    const { clock, observer, fingerprint } = this.#options;
    if (fingerprint === undefined) return this.#state;
    const late = () => new OrcaError('store_unavailable', `no answer within ${TIMEOUT_MS} ms`);
    try {
      const registered = await withDeadline(clock, TIMEOUT_MS, late, signal, (bounded) =>
        this.#register(fingerprint, bounded),
      );
      const before = this.#state;
      this.#registered = registered;
      this.#state = registered === fingerprint ? 'ours' : 'conflict';
      if (this.#state === 'conflict' && before !== 'conflict')
        observer.warn('origin.id is registered for another origin in the cachestore: refusing all requests', {
          registered,
          fingerprint,
        });
      if (this.#state === 'ours' && before !== 'ours') this.#options.onOurs();
    } catch (error) {
      if (!hasCode(error, 'store_unavailable')) throw error;
    }
    return this.#state;
  }

  /** Checks until the signal aborts: often while the identity is unknown, rarely afterwards. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const state = await this.check(signal);
        await this.#options.clock.sleep(state === 'unknown' ? RETRY_MS : RECHECK_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Returns the registered fingerprint: ours, unless another origin was registered first. */
  async #register(fingerprint: string, signal: AbortSignal): Promise<string> {
    const { store, originId } = this.#options;
    const name = `_orca/identity/${originId}`;
    const before = await store.getSmall(name, { signal });
    if (before !== undefined) return Buffer.from(before).toString('utf8');
    await store.putSmall(name, Buffer.from(fingerprint), { signal, ifAbsent: true });
    // On a store that ignores the condition the last writer wins, so the result is read back.
    const after = await store.getSmall(name, { signal });
    return after === undefined ? fingerprint : Buffer.from(after).toString('utf8');
  }
}
