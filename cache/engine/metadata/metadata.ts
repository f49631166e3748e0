/**
 * Object metadata, cluster-wide. A key's coordinator queries the origin once per TTL, and the other replicas query the
 * coordinator. Known metadata is served while it is revalidated (stale-while-revalidate), and while the origin is down
 * (stale-if-error). Age counts from the request to the origin, not from when a replica received the answer.
 */
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { ObjectHead, ObjectVersion } from '#cache/core/object.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import { ANY_VERSION, objectHash, type ObjectName } from '#cache/core/peer/head-request.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { abortable, signalOf, withDeadline, type SignalSource } from '#shared/abortable.ts';
import type { Soon } from '#shared/soon.ts';
import type { Clock, Observer, PeerClient, PeerView } from '#cache/engine/ports.ts';
import { HeadFlights, type HeadFlight } from './head-flights.ts';
import { HeadTable } from './head-table.ts';
import type { Manifests } from './manifests.ts';
import { PurgeCounts } from './purge-counts.ts';

/** A peer's answer may take as long as its origin retries; it sends 102 meanwhile. */
const PEER_TIMEOUT_MS = 20_000;
/** An invalidation should reach every replica within a second. */
const INVALIDATE_TIMEOUT_MS = 1_000;
/** Origin outages, which do not concern the object: its known metadata stays valid. */
const OUTAGE: readonly ErrorCode[] = ['origin_unavailable', 'origin_throttled'];

export interface MetadataOptions {
  /** One HEAD, through the limiter and with retries. */
  readonly originHead: (object: ObjectName) => Promise<ObjectHead>;
  readonly manifests: Manifests;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly maxEntries: number;
  readonly negativeTtlMs: number;
  /** How long after its TTL an entry is still served while it is revalidated; never longer than the TTL. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** A newer version of the object is known: this one is not requested any more. */
  readonly onSuperseded?: (version: ObjectVersion) => void;
}

/** What a read accepts. */
export interface Freshness {
  readonly ttlMs: number;
  /** The client's own limit, which also holds for entries that are being revalidated; undefined = none. */
  readonly maxAgeMs?: number | undefined;
}

export interface KnownHead {
  readonly head: ObjectHead;
  readonly ageMs: number;
  /** The origin could not be reached. */
  readonly stale: boolean;
}

export class Metadata {
  readonly #options: MetadataOptions;
  readonly #table: HeadTable;
  /** Two of them: a peer joins only calls to the origin, so two replicas never wait for each other. */
  readonly #lookups: HeadFlights;
  readonly #originHeads: HeadFlights;
  readonly #purges = new PurgeCounts();
  readonly #startedMs: number;

  constructor(options: MetadataOptions) {
    this.#options = options;
    this.#table = new HeadTable(options);
    this.#lookups = new HeadFlights(options.clock);
    this.#originHeads = new HeadFlights(options.clock);
    this.#startedMs = options.clock.now();
  }

  get size(): number {
    return this.#table.size;
  }

  /**
   * The object's head, younger than `ttlMs` (or than `staleWhileRevalidateMs` more), or older while the origin is down.
   * A head that is known here is returned at once. Throws or rejects with the origin's codes.
   */
  resolve(
    object: ObjectName,
    { ttlMs, maxAgeMs = Number.POSITIVE_INFINITY }: Freshness,
    signal: SignalSource,
  ): Soon<KnownHead> {
    const name = this.#tableKey(object);
    const staleMs = Math.min(this.#options.staleWhileRevalidateMs, ttlMs);
    const freshMs = Math.min(ttlMs, maxAgeMs);
    const known = this.#table.fresh(name, Math.min(ttlMs + staleMs, maxAgeMs));
    const ageMs = known === undefined ? 0 : this.#table.ageMs(known);
    if (known !== undefined && ageMs < freshMs) return { head: known.head, ageMs, stale: false };
    const absence = this.#table.absence(name, freshMs);
    if (absence !== undefined) throw absence.error;
    const asking = this.#ask(object, freshMs);
    if (known === undefined) return this.#whenAsked(object, name, asking, signalOf(signal));
    // In the background: a failure leaves the entry as it is.
    asking.catch(() => {});
    return { head: known.head, ageMs, stale: false };
  }

  /** The answer to a query, or, while the origin is down, what was known before. */
  async #whenAsked(
    object: ObjectName,
    name: string,
    asking: Promise<LearnedHead>,
    signal: AbortSignal,
  ): Promise<KnownHead> {
    try {
      return this.#answer(await abortable(asking, signal));
    } catch (error) {
      if (!hasCode(error, ...OUTAGE)) throw error;
      const last = this.#table.fresh(name, this.#options.staleIfErrorMs) ?? (await this.#fromManifest(object, signal));
      if (last === undefined) throw error;
      return { ...this.#answer(last), stale: true };
    }
  }

  /**
   * What a read may use without a query: from here, or from the manifest in the cachestore. Undefined = nothing that is
   * recent enough. Rejects with a known absence.
   */
  async stored(
    object: ObjectName,
    { ttlMs, maxAgeMs = Number.POSITIVE_INFINITY }: Freshness,
    signal: AbortSignal,
  ): Promise<KnownHead | undefined> {
    const name = this.#tableKey(object);
    const limitMs = Math.min(ttlMs + Math.min(this.#options.staleWhileRevalidateMs, ttlMs), maxAgeMs);
    const known = this.#table.fresh(name, limitMs);
    if (known !== undefined) return this.#answer(known);
    const absence = this.#table.absence(name, Math.min(ttlMs, maxAgeMs));
    if (absence !== undefined) throw absence.error;
    const manifest = await abortable(this.#fromManifest(object, signal), signal);
    return manifest !== undefined && this.#table.ageMs(manifest) < limitMs ? this.#answer(manifest) : undefined;
  }

  /** Queries the origin again, whatever is known: after a version was found to be outdated. */
  async resolveAgain(object: ObjectName, signal: AbortSignal): Promise<KnownHead> {
    return this.#answer(await abortable(this.#ask(object, 0), signal));
  }

  /** A head at most `maxAgeMs` old: before a client gets the news that its version is outdated. */
  async revalidate(object: ObjectName, known: KnownHead, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    if (known.ageMs < maxAgeMs) return known;
    try {
      const fresh = this.#table.fresh(this.#tableKey(object), maxAgeMs);
      return this.#answer(fresh ?? (await abortable(this.#ask(object, maxAgeMs), signal)));
    } catch (error) {
      // While the origin is down, the known entry decides.
      if (!hasCode(error, ...OUTAGE)) throw error;
      return known;
    }
  }

  /**
   * Serves a peer's request: from here or from the origin, never from a third replica. The age is the one at the arrival
   * of the request, because the peer counts from when it sent that.
   */
  async serve(object: ObjectName, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = this.#tableKey(object);
    const known = this.#table.fresh(name, maxAgeMs);
    if (known !== undefined) return this.#answer(known);
    const absence = this.#table.absence(name, maxAgeMs);
    if (absence !== undefined) {
      const { code, message, headers } = absence.error;
      // The asking replica keeps it for the remainder of its TTL.
      const ageMs = this.#table.ageMs(absence);
      throw new OrcaError(code, message, { cause: absence.error, ageMs, ...(headers !== undefined && { headers }) });
    }
    const arrivedMs = this.#options.clock.now();
    const { head, learnedMs } = await abortable(this.#askOrigin(object, maxAgeMs), signal);
    return { head, ageMs: Math.max(0, arrivedMs - learnedMs), stale: false };
  }

  /** Drops this version here, or `ANY_VERSION`. A newer version that is known already stays. */
  forget(object: ObjectName, etag: string): void {
    const name = this.#tableKey(object);
    this.#table.forget(name, etag);
    if (etag === ANY_VERSION) {
      this.#options.manifests.forgetWritten(object);
      this.#purges.add(keyOf(object));
    }
    // A call in flight may bring the old version back: its answer is not recorded.
    this.#lookups.forget(name);
    this.#originHeads.forget(name);
  }

  /** Drops this version here and on all other replicas, once: many readers may find the same version outdated. */
  invalidate(object: ObjectName, etag: string): void {
    if (etag !== ANY_VERSION && this.#table.isForgotten(this.#tableKey(object), etag)) return;
    this.forget(object, etag);
    const { peers, peerClient, observer } = this.#options;
    const { owners, terminating, self } = peers.current();
    for (const peer of [...owners, ...terminating]) {
      if (peer === self) continue;
      this.#askPeer(INVALIDATE_TIMEOUT_MS, (signal) => peerClient.invalidate(peer, { object, etag }, { signal })).catch(
        (error: unknown) => {
          // The peer will notice by itself: every read of the old version fails at the origin.
          observer.warn('invalidation not delivered to a peer', { peer, object, error });
        },
      );
    }
  }

  /** Drops all metadata of the object, on all replicas and in the cachestore: the next read queries the origin. */
  purge(object: ObjectName): void {
    this.#options.manifests.invalidate(object);
    this.invalidate(object, ANY_VERSION);
  }

  #ask(object: ObjectName, maxAgeMs: number): Promise<LearnedHead> {
    return this.#coalesce(this.#lookups, object, maxAgeMs, async () => {
      const { peers, peerClient, clock, observer } = this.#options;
      const { owners, self } = peers.current();
      for (const peer of rankPeers(objectHash(object), owners, 2)) {
        if (peer === self) break;
        try {
          const query = { object, maxAgeMs: finite(maxAgeMs) };
          // The request may be answered at once, and its answer delayed: the age counts from here.
          const askedMs = clock.now();
          const { head, ageMs } = await this.#askPeer(PEER_TIMEOUT_MS, (signal) =>
            peerClient.head(peer, query, { signal }),
          );
          return { head, learnedMs: askedMs - ageMs };
        } catch (error) {
          if (!hasCode(error, 'peer_unavailable', 'overloaded')) throw error;
          observer.fallThrough('head', error.code);
        }
      }
      return this.#askOrigin(object, maxAgeMs);
    });
  }

  /** Calls a peer with a deadline. */
  #askPeer<T>(limitMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('peer_unavailable', `no answer within ${limitMs} ms`);
    return withDeadline(this.#options.clock, limitMs, late, undefined, call);
  }

  #askOrigin(object: ObjectName, maxAgeMs: number): Promise<LearnedHead> {
    return this.#coalesce(this.#originHeads, object, maxAgeMs, async () => {
      const { clock, originHead, manifests } = this.#options;
      // This replica has just started: another one, or its predecessor, may have asked a moment ago.
      if (clock.now() - this.#startedMs < maxAgeMs) {
        const known = await this.#fromManifest(object, undefined);
        if (known !== undefined && this.#table.ageMs(known) < maxAgeMs) return known;
      }
      const learnedMs = clock.now();
      try {
        const learned = { head: await originHead(object), learnedMs };
        manifests.record(object, learned);
        return learned;
      } catch (error) {
        if (hasCode(error, 'not_found')) manifests.record(object, { deletedMs: learnedMs });
        throw error;
      }
    });
  }

  #coalesce(
    flights: HeadFlights,
    object: ObjectName,
    maxAgeMs: number,
    ask: () => Promise<LearnedHead>,
  ): Promise<LearnedHead> {
    const name = this.#tableKey(object);
    return flights.do(name, maxAgeMs, async (flight: HeadFlight) => {
      try {
        const learned = await ask();
        // The result of an invalidated call is returned to its waiters, but not recorded.
        if (!flight.isForgotten) this.#remember(name, object, learned);
        return learned;
      } catch (error) {
        if (!flight.isForgotten) this.#table.rememberFailure(name, error, flight.startedMs);
        throw error;
      }
    });
  }

  /** `name`: as it was at the time of the request to the origin. */
  #remember(name: string, object: ObjectName, learned: LearnedHead): void {
    const { replaced, outdated } = this.#table.remember(name, learned);
    const { onSuperseded } = this.#options;
    if (replaced !== undefined) this.invalidate(object, replaced.etag);
    if (replaced !== undefined) onSuperseded?.({ ...object, ...replaced });
    if (outdated !== undefined) onSuperseded?.({ ...object, ...outdated });
  }

  /** The manifest's head, if it is recent enough to be served while the origin is down. */
  async #fromManifest(object: ObjectName, signal: AbortSignal | undefined): Promise<LearnedHead | undefined> {
    const manifest = await this.#options.manifests.read(object, signal);
    if (manifest === undefined || manifest.isDeleted || this.#table.ageMs(manifest) > this.#options.staleIfErrorMs)
      return undefined;
    // An invalidation arrives before the manifest is rewritten.
    if (this.#table.isOutdated(this.#tableKey(object), manifest.head.etag)) return undefined;
    return { head: manifest.head, learnedMs: manifest.learnedMs };
  }

  #tableKey(object: ObjectName): string {
    const key = keyOf(object);
    return object.versionId === undefined ? key : `${key}\0${object.versionId}\0${this.#purges.of(key)}`;
  }

  #answer(known: LearnedHead): KnownHead {
    return { head: known.head, ageMs: this.#table.ageMs(known), stale: false };
  }
}

/** No bucket name, no key and no version ID contains a NUL. */
function keyOf({ bucket, key }: ObjectName): string {
  return `${bucket}\0${key}`;
}

/** An immutable object's TTL is infinite, which a query cannot express. */
function finite(maxAgeMs: number): number {
  return Math.min(maxAgeMs, Number.MAX_SAFE_INTEGER);
}
