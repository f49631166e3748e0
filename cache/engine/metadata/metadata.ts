/**
 * Object metadata, cluster-wide. A key's coordinator queries the origin once per TTL (singleflight), the other replicas query
 * the coordinator, and known metadata is served while the origin is down (stale-if-error). Age counts from the origin's
 * answer, not from when a replica received it.
 */
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { ANY_VERSION, objectHash, type ObjectName } from '#cache/core/peer/head-request.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { abortable, withDeadline } from '#cache/engine/abortable.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { Singleflight } from '#shared/singleflight.ts';
import type { Manifests } from './manifests.ts';
import type { Clock, Observer, PeerClient, PeerView } from '#cache/engine/ports.ts';

/** Negative entries come from typing errors or probing: a tenth of the positive table is enough. */
const NEGATIVE_SHARE = 1 / 10;
/**
 * Names and headers of all heads, in characters. A hundred thousand typical heads need a third of it. As many heads with
 * all the user metadata that an origin allows would not fit the heap, which has 256 MiB in a pod.
 */
const MAX_HEADS_LENGTH = 48 * 1024 * 1024;
/** Few objects change while they are cached. */
const MAX_OUTDATED = 1_000;
/** Stale-while-revalidate: how long after its TTL an entry is still served while it is revalidated. */
const REVALIDATE_MS = 30_000;
/** A peer's answer may take as long as its origin retries; it sends 102 meanwhile. */
const PEER_TIMEOUT_MS = 20_000;
/** An invalidation should reach every replica within a second. */
const INVALIDATE_TIMEOUT_MS = 1_000;
/** Answers that would be the same on the next attempt: kept for the negative TTL. */
const NEGATIVE: readonly ErrorCode[] = [
  'not_found',
  'bucket_not_found',
  'access_denied',
  'origin_missing_etag',
  'origin_unsupported',
];
/** Origin outages, which do not concern the object: its known metadata stays valid. */
const OUTAGE: readonly ErrorCode[] = ['origin_unavailable', 'origin_throttled'];

export interface MetadataOptions {
  /** One HEAD, through the limiter and with retries. */
  readonly originHead: (bucket: string, key: string) => Promise<ObjectHead>;
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

interface Absence {
  readonly error: OrcaError;
  readonly learnedMs: number;
}

export class Metadata {
  readonly #options: MetadataOptions;
  readonly #heads: LruTable<LearnedHead>;
  readonly #absences: LruTable<Absence>;
  /** By key, the last version that was found to be outdated. */
  readonly #outdated = new LruTable<string>({ maxEntries: MAX_OUTDATED });
  /** Two of them: a peer joins only calls to the origin, so two replicas never wait for each other. */
  readonly #lookups = new Singleflight<string, LearnedHead>();
  readonly #originHeads = new Singleflight<string, LearnedHead>();
  readonly #startedMs: number;

  constructor(options: MetadataOptions) {
    this.#options = options;
    const { maxEntries } = options;
    this.#heads = new LruTable({ maxEntries, maxWeight: MAX_HEADS_LENGTH, weigh: lengthOf });
    this.#absences = new LruTable({ maxEntries: Math.ceil(maxEntries * NEGATIVE_SHARE) });
    this.#startedMs = options.clock.now();
  }

  get size(): number {
    return this.#heads.size + this.#absences.size;
  }

  /** The object's head, at most `ttlMs` old, or older while the origin is down. Rejects with the origin's codes. */
  async resolve(object: ObjectName, ttlMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = tableKey(object);
    const known = this.#fresh(name, ttlMs + REVALIDATE_MS);
    if (known !== undefined && this.#ageMs(known) < ttlMs) return this.#answer(known);
    const absence = this.#absenceOf(name);
    if (absence !== undefined) throw absence.error;
    const asking = this.#ask(object, ttlMs);
    if (known !== undefined) return this.#answer(known);
    try {
      return this.#answer(await abortable(asking, signal));
    } catch (error) {
      if (!hasCode(error, ...OUTAGE)) throw error;
      const last = this.#fresh(name, this.#options.staleIfErrorMs) ?? (await this.#fromManifest(object, signal));
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
      const fresh = this.#fresh(tableKey(object), maxAgeMs);
      return this.#answer(fresh ?? (await abortable(this.#ask(object, maxAgeMs), signal)));
    } catch (error) {
      // While the origin is down, the known entry decides.
      if (!hasCode(error, ...OUTAGE)) throw error;
      return known;
    }
  }

  /** Serves a peer's request: from here or from the origin, never from a third replica. */
  async serve(object: ObjectName, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = tableKey(object);
    const known = this.#fresh(name, maxAgeMs);
    if (known !== undefined) return this.#answer(known);
    const absence = this.#absenceOf(name);
    if (absence !== undefined) {
      const { code, message } = absence.error;
      // The asking replica keeps it for the remainder of its TTL.
      throw new OrcaError(code, message, { cause: absence.error, ageMs: this.#ageMs(absence) });
    }
    return this.#answer(await abortable(this.#askOrigin(object, maxAgeMs), signal));
  }

  /** Drops this version here, or `ANY_VERSION`. A newer version that is known already stays. */
  forget(object: ObjectName, etag: string): void {
    const name = tableKey(object);
    if (etag === ANY_VERSION) {
      this.#absences.delete(name);
      this.#options.manifests.forgetWritten(object);
    }
    if (etag === ANY_VERSION || this.#heads.get(name)?.head.etag === etag) this.#heads.delete(name);
    this.#outdated.set(name, etag);
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
        if (known !== undefined && this.#ageMs(known) < maxAgeMs) return known;
      }
      const learnedMs = clock.now();
      try {
        const learned = { head: await originHead(object.bucket, object.key), learnedMs };
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
    const name = tableKey(object);
    return flights.do(name, async (flight) => {
      try {
        const learned = await ask();
        // The result of an invalidated call is returned to its waiters, but not recorded.
        if (!flight.isForgotten) this.#remember(object, learned);
        return learned;
      } catch (error) {
        if (!flight.isForgotten) this.#rememberFailure(name, error);
        throw error;
      }
    });
  }

  #remember(object: ObjectName, learned: LearnedHead): void {
    const name = tableKey(object);
    this.#absences.delete(name);
    const before = this.#heads.get(name);
    if (before !== undefined && before.learnedMs > learned.learnedMs) return;
    this.#heads.set(name, learned);
    // A purge ends with the next origin request; an outdated version stays outdated.
    if (this.#outdated.get(name) === ANY_VERSION) this.#outdated.delete(name);
    if (before !== undefined && before.head.etag !== learned.head.etag) this.invalidate(object, before.head.etag);
  }

  #rememberFailure(name: string, error: unknown): void {
    if (!hasCode(error, ...NEGATIVE)) return;
    this.#heads.delete(name);
    // An absence that another replica reported has an age already: its TTL does not start again.
    this.#absences.set(name, { error, learnedMs: this.#options.clock.now() - (error.ageMs ?? 0) });
  }

  /** The manifest's head, if it is recent enough to be served while the origin is down. */
  async #fromManifest(object: ObjectName, signal: AbortSignal | undefined): Promise<LearnedHead | undefined> {
    const manifest = await this.#options.manifests.read(object, signal);
    if (manifest === undefined || manifest.isDeleted || this.#ageMs(manifest) > this.#options.staleIfErrorMs)
      return undefined;
    // An invalidation arrives before the manifest is rewritten.
    const outdated = this.#outdated.get(tableKey(object));
    if (outdated === ANY_VERSION || outdated === manifest.head.etag) return undefined;
    return { head: manifest.head, learnedMs: manifest.learnedMs };
  }

  #fresh(name: string, maxAgeMs: number): LearnedHead | undefined {
    const known = this.#heads.get(name);
    return known !== undefined && this.#ageMs(known) <= maxAgeMs ? known : undefined;
  }

  #absenceOf(name: string): Absence | undefined {
    const absence = this.#absences.get(name);
    return absence !== undefined && this.#ageMs(absence) < this.#options.negativeTtlMs ? absence : undefined;
  }

  #ageMs({ learnedMs }: { readonly learnedMs: number }): number {
    return Math.max(0, this.#options.clock.now() - learnedMs);
  }

  #answer(known: LearnedHead): KnownHead {
    return { head: known.head, ageMs: this.#ageMs(known), stale: false };
  }
}

/** No bucket name contains a NUL. */
function tableKey({ bucket, key }: ObjectName): string {
  return `${bucket}\0${key}`;
}

/** An immutable object's TTL is infinite, which a query cannot express. */
function finite(maxAgeMs: number): number {
  return Math.min(maxAgeMs, Number.MAX_SAFE_INTEGER);
}

function lengthOf(name: string, { head }: LearnedHead): number {
  let length = name.length;
  for (const header in head.headers) length += header.length + (head.headers[header]?.length ?? 0);
  return length;
}
