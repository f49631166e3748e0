/**
 * The room's calls of the cachestore. No client waits for them: at most two at once, each with a deadline, and none while
 * the circuit breaker is open.
 */
import type { Clock, Observer, Removal, StoredEntry, StoredPage } from '#cache/engine/ports.ts';
import { wasNotAsked } from '#cache/engine/upstream/circuit-breaker.ts';
import type { GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { codeOf, OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#shared/abortable.ts';
import { openSemaphore } from '#shared/semaphore.ts';
import { isDenied, type Obstacles } from './obstacles.ts';

/** One page can be listed while another batch is deleted. */
const MAX_AT_ONCE = 2;
/** The first list of a Filesystem store reads the directory of all versions. */
const LIST_TIMEOUT_MS = 60_000;
/** Stores without a batch call delete 1,000 names one by one. */
const REMOVE_TIMEOUT_MS = 60_000;
/** A ledger has 4 MiB at most. */
const SMALL_TIMEOUT_MS = 30_000;
/** A list without an end, of a store that repeats its pages, must not run forever: 100 million names. */
const MAX_PAGES = 100_000;

export class StoreCalls {
  readonly #store: GuardedStore;
  readonly #clock: Clock;
  readonly #obstacles: Obstacles;
  readonly #observer: Pick<Observer, 'storeRequest'>;
  /** Each caller makes one call at a time: a handful wait. */
  readonly #withPermit = openSemaphore(MAX_AT_ONCE);

  constructor(store: GuardedStore, clock: Clock, obstacles: Obstacles, observer: Pick<Observer, 'storeRequest'>) {
    this.#observer = observer;
    this.#store = store;
    this.#clock = clock;
    this.#obstacles = obstacles;
  }

  /** A store whose breaker is not closed would refuse. */
  get isClosed(): boolean {
    return this.#store.breaker.state === 'closed';
  }

  onClosed(listener: () => void): () => void {
    return this.#store.breaker.onClose(listener);
  }

  /** Page by page, so that no more than one is in memory. */
  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly StoredEntry[], void, void> {
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { entries, cursor: next } = await this.#page(prefix, cursor, signal);
      yield entries;
      if (next === undefined) return;
      cursor = next;
    }
    throw new OrcaError('store_unavailable', `the list of ${prefix} does not end`);
  }

  /** At most `MAX_STORE_NAMES`. */
  async remove(names: readonly string[], signal: AbortSignal): Promise<Removal> {
    try {
      const removal = await this.#call(REMOVE_TIMEOUT_MS, signal, (bounded) =>
        this.#counted('remove', () => this.#store.remove(names, { signal: bounded })),
      );
      const denied = removal.failed.find(({ error }) => isDenied(error));
      if (denied !== undefined) this.#obstacles.failed('delete', denied.error);
      else if (removal.failed.length < names.length) this.#obstacles.cleared('delete');
      return removal;
    } catch (error) {
      this.#obstacles.failed('delete', error);
      throw error;
    }
  }

  getSmall(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#call(SMALL_TIMEOUT_MS, signal, (bounded) => this.#store.getSmall(name, { signal: bounded }));
  }

  async putSmall(name: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#call(SMALL_TIMEOUT_MS, signal, (bounded) => this.#store.putSmall(name, body, { signal: bounded }));
  }

  totalBytes(signal: AbortSignal): Promise<number | undefined> {
    return this.#call(SMALL_TIMEOUT_MS, signal, async (bounded) => this.#store.totalBytes?.({ signal: bounded }));
  }

  async #page(prefix: string, cursor: string | undefined, signal: AbortSignal): Promise<StoredPage> {
    try {
      const page = await this.#call(LIST_TIMEOUT_MS, signal, (bounded) =>
        this.#counted('list', () => this.#store.list(prefix, cursor, { signal: bounded })),
      );
      this.#obstacles.cleared('list');
      return page;
    } catch (error) {
      this.#obstacles.failed('list', error);
      throw error;
    }
  }

  /** An open circuit breaker sends nothing. */
  async #counted<T>(operation: 'list' | 'remove', call: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.now();
    const count = (outcome: string) => this.#observer.storeRequest(operation, outcome, this.#clock.now() - startedMs);
    try {
      const result = await call();
      count('ok');
      return result;
    } catch (error) {
      if (!wasNotAsked(error)) count(codeOf(error));
      throw error;
    }
  }

  #call<T>(limitMs: number, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#withPermit(signal, async () => {
      // A small object would be a probe of the breaker, for which no client waits.
      this.#store.breaker.throwUnlessClosed();
      const late = () => new OrcaError('store_unavailable', `no answer within ${limitMs} ms`);
      return withDeadline(this.#clock, limitMs, late, signal, call);
    });
  }
}
