/**
 * Object metadata, cluster-wide. A key's coordinator queries the origin once per TTL (singleflight), and the other
 * replicas query the coordinator. Known metadata is served while the origin is down (stale-if-error). Age counts from
 * the origin's answer, not from when a replica received it.
 */
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import { ANY_VERSION, objectHash, type ObjectName } from '#cache/core/peer/head-request.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { abortable, withDeadline } from '#cache/engine/abortable.ts';
import type { Clock, Observer, PeerClient, PeerView } from '#cache/engine/ports.ts';
import { Singleflight } from '#shared/singleflight.ts';
import { HeadTable } from './head-table.ts';
import type { Manifests } from './manifests.ts';
import { PurgeCounts } from './purge-counts.ts';

/** Stale-while-revalidate: how long after its TTL an entry is still served while it is revalidated. */
const REVALIDATE_MS = 30_000;
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
  readonly staleIfErrorMs: number;
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
  readonly #lookups = new Singleflight<string, LearnedHead>();
  readonly #originHeads = new Singleflight<string, LearnedHead>();
  readonly #purges = new PurgeCounts();
  readonly #startedMs: number;

  constructor(options: MetadataOptions) {
    this.#options = options;
    this.#table = new HeadTable(options);
    this.#startedMs = options.clock.now();
  }

  get size(): number {
    return this.#table.size;
  }

  /** The object's head, at most `ttlMs` old, or older while the origin is down. Rejects with the origin's codes. */
  async resolve(object: ObjectName, ttlMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = this.#tableKey(object);
    const known = this.#table.fresh(name, ttlMs + REVALIDATE_MS);
    if (known !== undefined && this.#table.ageMs(known) < ttlMs) return this.#answer(known);
    const absence = this.#table.absence(name);
    if (absence !== undefined) throw absence.error;
    const asking = this.#ask(object, ttlMs);
    if (known !== undefined) return this.#answer(known);
    try {
      return this.#answer(await abortable(asking, signal));
    } catch (error) {
      if (!hasCode(error, ...OUTAGE)) throw error;
      const last = this.#table.fresh(name, this.#options.staleIfErrorMs) ?? (await this.#fromManifest(object, signal));
      if (last === undefined) throw error;
      return { ...this.#answer(last), stale: true };
    }
  }

  /** Queries the origin again, whatever is known: after a version was found to be outdated. */
  async resolveAgain(object: ObjectName, signal: AbortSignal): Promise<KnownHead> {
    return this.#answer(await abortable(this.#ask(object, 0), signal));
  }

  /** A head at most `maxAgeMs` old: before a client gets the news that its version is outdated. */
  async revalidate(object: ObjectName, known: KnownHead, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    if (known.ageMs <= maxAgeMs) return known;
    try {
      const fresh = this.#table.fresh(this.#tableKey(object), maxAgeMs);
      return this.#answer(fresh ?? (await abortable(this.#ask(object, maxAgeMs), signal)));
    } catch (error) {
      // While the origin is down, the known entry decides.
      if (!hasCode(error, ...OUTAGE)) throw error;
      return known;
    }
  }

  /** Serves a peer's request: from here or from the origin, never from a third replica. */
  async serve(object: ObjectName, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = this.#tableKey(object);
    const known = this.#table.fresh(name, maxAgeMs);
    if (known !== undefined) return this.#answer(known);
    const absence = this.#table.absence(name);
    if (absence !== undefined) {
      const { code, message } = absence.error;
      // The asking replica keeps it for the remainder of its TTL.
      throw new OrcaError(code, message, { cause: absence.error, ageMs: this.#table.ageMs(absence) });
    }
    return this.#answer(await abortable(this.#askOrigin(object, maxAgeMs), signal));
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

  /** Drops this version here and on all other replicas. */
  invalidate(object: ObjectName, etag: string): void {
    this.forget(object, etag);
    const { peers, peerClient, observer } = this.#options;
    const { owners, terminating, self } = peers.current();
    for (const peer of [...owners, ...terminating]) {
      if (peer === self) continue;
      this.#askPeer(INVALIDATE_TIMEOUT_MS, (signal) => peerClient.invalidate(peer, { object, etag }, { signal })).catch(
        (error: unknown) => {
          // The peer will notice by itself: every read of the old version fails at the origin.
          observer.warn('invalidation not delivered to a peer', { peer, error });
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
    return this.#coalesce(this.#lookups, object, async () => {
      const { peers, peerClient, clock, observer } = this.#options;
      const { owners, self } = peers.current();
      for (const peer of rankPeers(objectHash(object), owners, 2)) {
        if (peer === self) break;
        try {
          const query = { object, maxAgeMs: finite(maxAgeMs) };
          const { head, ageMs } = await this.#askPeer(PEER_TIMEOUT_MS, (signal) =>
            peerClient.head(peer, query, { signal }),
          );
          return { head, learnedMs: clock.now() - ageMs };
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
    return this.#coalesce(this.#originHeads, object, async () => {
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
    flights: Singleflight<string, LearnedHead>,
    object: ObjectName,
    ask: () => Promise<LearnedHead>,
  ): Promise<LearnedHead> {
    const name = this.#tableKey(object);
    return flights.do(name, async (flight) => {
      try {
        const learned = await ask();
        // The result of an invalidated call is returned to its waiters, but not recorded.
        if (!flight.isForgotten) this.#remember(name, object, learned);
        return learned;
      } catch (error) {
        if (!flight.isForgotten) this.#table.rememberFailure(name, error);
        throw error;
      }
    });
  }

  /** `name`: as it was when the origin was asked. */
  #remember(name: string, object: ObjectName, learned: LearnedHead): void {
    const replaced = this.#table.remember(name, learned);
    if (replaced !== undefined) this.invalidate(object, replaced);
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
