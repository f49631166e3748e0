/**
 * Manifests: the last known metadata of each object, kept in the cachestore, so that objects that were read before are
 * still served when every replica restarts while the origin is down. They are written in the background.
 */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import {
  decodeManifest,
  encodeHead,
  encodeTombstone,
  type LearnedHead,
  type Manifest,
} from '#cache/core/peer/head-message.ts';
import { manifestName, type ObjectName } from '#cache/core/peer/head-request.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';
import { toDateMs, toEngineMs } from './stored-dates.ts';

/** How often an unchanged object's manifest is rewritten: rarely, since it is read only while the origin is down. */
const REWRITE_MS = 60 * 60_000;
/** Queued writes. Beyond that the oldest is dropped, which may cost a HEAD later. */
const MAX_WAITING = 1_000;
/** Concurrent writes: few, so that manifests do not delay commits. */
const WRITERS = 4;
/** A read delays a client whose origin is down: a slower cachestore counts as down too. */
const TIMEOUT_MS = 5_000;

/** A head, or the time at which the object was found to be deleted. */
type Entry = LearnedHead | { readonly deletedMs: number };

export interface ManifestsOptions {
  readonly store: ChunkStore;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly maxEntries: number;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  /** By manifest name; the latest entry wins. */
  readonly #waiting = new Map<string, Entry>();
  readonly #written: LruTable<{ readonly etag: string | undefined; readonly atMs: number }>;
  #writers = 0;

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#written = new LruTable({ maxEntries: options.maxEntries });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Undefined where there is no readable manifest. */
  async read(object: ObjectName, signal: AbortSignal | undefined): Promise<Manifest | undefined> {
    if (object.versionId !== undefined) return undefined;
    const name = manifestName(object);
    try {
      const bytes = await this.#bounded(signal, (signal) => this.#options.store.getSmall(name, { signal }));
      const manifest = bytes && decodeManifest(Buffer.from(bytes).toString('utf8'), name);
      return manifest && { ...manifest, learnedMs: toEngineMs(this.#options.clock, manifest.learnedMs) };
    } catch (error) {
      const { code } = asOrcaError(error, 'internal', 'a manifest cannot be read');
      if (code !== 'store_unavailable' && code !== 'cancelled') throw error;
      return undefined;
    }
  }

  /** Writes the origin's answer, if it differs from the last one written. */
  record(object: ObjectName, entry: Entry): void {
    // Not for versions that were requested by ID: a purge of the key could not find their manifests.
    if (object.versionId !== undefined) return;
    const name = manifestName(object);
    const etag = 'head' in entry ? entry.head.etag : undefined;
    const last = this.#written.get(name);
    const nowMs = this.#options.clock.now();
    if (last !== undefined && last.etag === etag && nowMs - last.atMs < REWRITE_MS) return;
    // The absence of an object that was never cached need not be recorded.
    if (last === undefined && etag === undefined) return;
    this.#written.set(name, { etag, atMs: nowMs });
    this.#enqueue(name, entry);
  }

  /** Writes a tombstone: the manifest of any replica is invalid from now on. */
  invalidate(object: ObjectName): void {
    this.#enqueue(manifestName(object), { deletedMs: this.#options.clock.now() });
  }

  /** Another replica wrote a tombstone: the origin's next answer is written even if it is unchanged. */
  forgetWritten(object: ObjectName): void {
    this.#written.delete(manifestName(object));
  }

  #enqueue(name: string, entry: Entry): void {
    this.#waiting.delete(name);
    this.#waiting.set(name, entry);
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
        const [name, entry] = next.value;
        this.#waiting.delete(name);
        await this.#writeOne(name, entry);
      }
    } finally {
      this.#writers--;
    }
  }

  async #writeOne(name: string, entry: Entry): Promise<void> {
    const { store, observer } = this.#options;
    try {
      await this.#bounded(undefined, async (signal) => {
        const learnedMs = toDateMs(this.#options.clock, 'head' in entry ? entry.learnedMs : entry.deletedMs);
        const before = await store.getSmall(name, { signal });
        const known = before === undefined ? undefined : decodeManifest(Buffer.from(before).toString('utf8'), name);
        if (known !== undefined && known.learnedMs >= learnedMs) return;
        if (known === undefined && !('head' in entry)) return;
        const text =
          'head' in entry ? encodeHead({ head: entry.head, learnedMs }, name) : encodeTombstone(learnedMs, name);
        await store.putSmall(name, Buffer.from(text), { signal });
      });
    } catch (error) {
      this.#written.delete(name);
      observer.warn('manifest not written', { manifest: name, error });
    }
  }

  #bounded<T>(parent: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `no manifest within ${TIMEOUT_MS} ms`);
    return withDeadline(this.#options.clock, TIMEOUT_MS, late, parent, call);
  }
}
