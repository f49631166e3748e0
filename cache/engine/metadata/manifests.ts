/**
 * What was last learned of each object, kept in the cachestore: so that what was read before is still served when every
 * replica restarts while the origin is down. Written beside the path of a request, never in it.
 */
import {
  decodeManifest,
  encodeHead,
  encodeTombstone,
  type LearnedHead,
  type Manifest,
} from '#cache/core/peer/head-message.ts';
import { manifestName, type ObjectName } from '#cache/core/peer/head-request.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#cache/engine/abortable.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';

/** An unchanged object's manifest is written again so seldom: it is read only when the origin is away. */
const REWRITE_MS = 60 * 60_000;
/** Writes that wait; the oldest goes when there are more: it costs a HEAD some day. */
const MAX_WAITING = 1_000;
const WRITERS = 4;
const TIMEOUT_MS = 5_000;

type Word = LearnedHead | { readonly goneMs: number };

export interface ManifestsOptions {
  readonly store: ChunkStore;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly maxEntries: number;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  /** By manifest name; the latest word wins. */
  readonly #waiting = new Map<string, Word>();
  readonly #written: LruTable<{ readonly etag: string | undefined; readonly atMs: number }>;
  #writers = 0;

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#written = new LruTable({ maxEntries: options.maxEntries });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The manifest; undefined where there is none that can be read. */
  async read(object: ObjectName, signal: AbortSignal | undefined): Promise<Manifest | undefined> {
    const name = manifestName(object);
    try {
      const bytes = await this.#bounded(signal, (signal) => this.#options.store.getSmall(name, { signal }));
      const manifest = bytes && decodeManifest(Buffer.from(bytes).toString('utf8'));
      return manifest && { ...manifest, learnedMs: this.#ours(manifest.learnedMs) };
    } catch (error) {
      const { code } = asOrcaError(error, 'internal', 'a manifest can not be read');
      if (code !== 'store_unavailable' && code !== 'cancelled') throw error;
      return undefined;
    }
  }

  /** Writes down what the origin just said, if that is news. */
  record(object: ObjectName, word: Word): void {
    const name = manifestName(object);
    const etag = 'head' in word ? word.head.etag : undefined;
    const last = this.#written.get(name);
    const nowMs = this.#options.clock.now();
    if (last !== undefined && last.etag === etag && nowMs - last.atMs < REWRITE_MS) return;
    // Of an object that never was here, nothing need be known to be gone.
    if (last === undefined && etag === undefined) return;
    this.#written.set(name, { etag, atMs: nowMs });
    this.#enqueue(name, word);
  }

  /** Writes down that what any replica has recorded is of no use any more. */
  bury(object: ObjectName): void {
    this.#enqueue(manifestName(object), { goneMs: this.#options.clock.now() });
  }

  /** Somebody has buried it: what the origin says next is news, even if it says the same. */
  wasBuried(object: ObjectName): void {
    this.#written.delete(manifestName(object));
  }

  #enqueue(name: string, word: Word): void {
    this.#waiting.delete(name);
    this.#waiting.set(name, word);
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= MAX_WAITING) break;
      this.#waiting.delete(oldest);
    }
    if (this.#writers < WRITERS) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writers++;
    try {
      for (;;) {
        const next = this.#waiting.entries().next();
        if (next.done === true) return;
        const [name, word] = next.value;
        this.#waiting.delete(name);
        await this.#writeOne(name, word);
      }
    } finally {
      this.#writers--;
    }
  }

  async #writeOne(name: string, word: Word): Promise<void> {
    const { store, observer } = this.#options;
    try {
      await this.#bounded(undefined, async (signal) => {
        const learnedMs = this.#everybodys('head' in word ? word.learnedMs : word.goneMs);
        const before = await store.getSmall(name, { signal });
        const known = before === undefined ? undefined : decodeManifest(Buffer.from(before).toString('utf8'));
        if (known !== undefined && known.learnedMs >= learnedMs) return;
        if (known === undefined && !('head' in word)) return;
        const text = 'head' in word ? encodeHead({ head: word.head, learnedMs }) : encodeTombstone(learnedMs);
        await store.putSmall(name, Buffer.from(text), { signal });
      });
    } catch (error) {
      this.#written.delete(name);
      observer.warn('a manifest was not written', { manifest: name, error });
    }
  }

  /** Manifests hold dates, which all replicas and their successors share; the engine counts by its own clock. */
  #everybodys(learnedMs: number): number {
    const { clock } = this.#options;
    return clock.date() - Math.max(0, clock.now() - learnedMs);
  }

  #ours(learnedMs: number): number {
    const { clock } = this.#options;
    return clock.now() - Math.max(0, clock.date() - learnedMs);
  }

  #bounded<T>(parent: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `no manifest within ${TIMEOUT_MS} ms`);
    return withDeadline(this.#options.clock, TIMEOUT_MS, late, parent, call);
  }
}
