/** Reads and writes the records of runs in the cachestore. */
import { OrcaError } from '#cache/core/errors.ts';
import { MAX_STORE_NAMES, type ChunkStore, type Clock } from '#cache/engine/ports.ts';
import { withDeadline } from '#shared/abortable.ts';
import { decodeRecord, encodeRecord, type RunRecord } from './record.ts';

/** All records of all caches of the cachestore are below it. */
export const PREWARM_PREFIX = '_orca/prewarm/';

/** A record has a megabyte at most. */
const SMALL_TIMEOUT_MS = 10_000;
const LIST_TIMEOUT_MS = 30_000;
/** A UUID, as the API server assigns it; anything else must not become a part of a name. */
const UID = /^[0-9a-f-]{8,64}$/;
/** More prewarms than any cache has: 100,000. */
const MAX_PAGES = 100;

export interface RecordsOptions {
  readonly originId: string;
  readonly store: Pick<ChunkStore, 'getSmall' | 'putSmall' | 'list' | 'remove'>;
  readonly clock: Clock;
}

export class Records {
  readonly #options: RecordsOptions;
  readonly #prefix: string;

  constructor(options: RecordsOptions) {
    this.#options = options;
    this.#prefix = `${PREWARM_PREFIX}${options.originId}/`;
  }

  /** Undefined if there is no record, or it is unreadable. Rejects with store_unavailable. */
  async read(uid: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    const name = this.#name(uid);
    const bytes = await this.#bounded(SMALL_TIMEOUT_MS, signal, (bounded) =>
      this.#options.store.getSmall(name, { signal: bounded }),
    );
    return bytes && decodeRecord(bytes);
  }

  async write(record: RunRecord, signal: AbortSignal): Promise<void> {
    const name = this.#name(record.uid);
    await this.#bounded(SMALL_TIMEOUT_MS, signal, (bounded) =>
      this.#options.store.putSmall(name, encodeRecord(record), { signal: bounded }),
    );
  }

  async remove(uid: string, signal: AbortSignal): Promise<void> {
    const name = this.#name(uid);
    const { failed } = await this.#bounded(LIST_TIMEOUT_MS, signal, (bounded) =>
      this.#options.store.remove([name], { signal: bounded }),
    );
    if (failed[0] !== undefined) throw failed[0].error;
  }

  /** The UIDs of all records under this origin's id, also of other caches. */
  async *uids(signal: AbortSignal): AsyncGenerator<string, void, void> {
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const listed = await this.#bounded(LIST_TIMEOUT_MS, signal, (bounded) =>
        this.#options.store.list(this.#prefix, cursor, { signal: bounded }),
      );
      for (const { name } of listed.entries.slice(0, MAX_STORE_NAMES)) {
        const uid = name.slice(this.#prefix.length);
        if (name.startsWith(this.#prefix) && UID.test(uid)) yield uid;
      }
      cursor = listed.cursor;
      if (cursor === undefined) return;
    }
  }

  #name(uid: string): string {
    if (!UID.test(uid)) throw new OrcaError('bad_request', `${JSON.stringify(uid)} is no uid of a resource`);
    return this.#prefix + uid;
  }

  #bounded<T>(limitMs: number, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `the cachestore did not answer within ${limitMs} ms`);
    return withDeadline(this.#options.clock, limitMs, late, signal, call);
  }
}
