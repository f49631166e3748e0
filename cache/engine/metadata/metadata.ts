/**
 * What is known of objects, cluster-wide: a key's coordinator asks the origin once per TTL, the others ask it; what was
 * learned serves on while the origin is away. Age counts from the origin's answer, never from when a replica learned it.
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

/** Absent keys are asked for by mistake or by probing; a tenth of the positive table is plenty. */
const NEGATIVE_SHARE = 1 / 10;
/**
 * Names and headers of all heads, in characters. A hundred thousand usual ones are a third of it; as many with all the
 * metadata that an origin allows would not fit the heap, which has 256 MiB in a pod.
 */
const MAX_HEADS_LENGTH = 48 * 1024 * 1024;
/** Objects that change under a cache are few. */
const MAX_BAD = 1_000;
/** So long behind the TTL an entry still answers while it is asked for anew. */
const REVALIDATE_MS = 30_000;
/** A peer's answer may take as long as its origin retries; it says 102 meanwhile. */
const PEER_TIMEOUT_MS = 20_000;
/** What every replica should have heard within a second. */
const INVALIDATE_TIMEOUT_MS = 1_000;
/** What will be the same on the next try: remembered for the negative TTL. */
const LASTING: readonly ErrorCode[] = [
  'not_found',
  'bucket_not_found',
  'access_denied',
  'origin_missing_etag',
  'origin_unsupported',
];
/** The origin's own trouble, which says nothing about the object: what is known of it goes on. */
const AWAY: readonly ErrorCode[] = ['origin_unavailable', 'origin_throttled'];

export interface MetadataOptions {
  /** One HEAD, with its turn and its retries. */
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
  /** The origin could not be asked. */
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
  /** The last version of a key that was found to be gone. */
  readonly #bad = new LruTable<string>({ maxEntries: MAX_BAD });
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

  /** The object's head, at most `ttlMs` old, or older where the origin is away. Rejects with the origin's codes. */
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
      if (!hasCode(error, ...AWAY)) throw error;
      const last = this.#fresh(name, this.#options.staleIfErrorMs) ?? (await this.#remembered(object, signal));
      if (last === undefined) throw error;
      return { ...this.#answer(last), stale: true };
    }
  }

  /** As the origin says it now, wherever it was known: after a version was found to be gone. */
  async resolveAnew(object: ObjectName, signal: AbortSignal): Promise<KnownHead> {
    return this.#answer(await abortable(this.#ask(object, 0), signal));
  }

  /** The same, but not older than `maxAgeMs`: before a client is told that its version is gone. */
  async revalidate(object: ObjectName, known: KnownHead, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    if (known.ageMs <= maxAgeMs) return known;
    try {
      const fresh = this.#fresh(tableKey(object), maxAgeMs);
      return this.#answer(fresh ?? (await abortable(this.#ask(object, maxAgeMs), signal)));
    } catch (error) {
      // If the origin does not answer, the entry decides.
      if (!hasCode(error, ...AWAY)) throw error;
      return known;
    }
  }

  /** A peer asks: answered from here or from the origin, never by asking on. */
  async serve(object: ObjectName, maxAgeMs: number, signal: AbortSignal): Promise<KnownHead> {
    const name = tableKey(object);
    const known = this.#fresh(name, maxAgeMs);
    if (known !== undefined) return this.#answer(known);
    const absence = this.#absenceOf(name);
    if (absence !== undefined) {
      const { code, message } = absence.error;
      // The asker keeps it for what is left of its time.
      throw new OrcaError(code, message, { cause: absence.error, ageMs: this.#ageMs(absence) });
    }
    return this.#answer(await abortable(this.#askOrigin(object, maxAgeMs), signal));
  }

  /** Forgets this version here, or `ANY_VERSION`: a newer one that somebody has learned stays. */
  forget(object: ObjectName, badEtag: string): void {
    const name = tableKey(object);
    if (badEtag === ANY_VERSION) {
      this.#absences.delete(name);
      this.#options.manifests.wasBuried(object);
    }
    if (badEtag === ANY_VERSION || this.#heads.get(name)?.head.etag === badEtag) this.#heads.delete(name);
    this.#bad.set(name, badEtag);
    // A call in flight may bring the old version back: its answer is not recorded.
    this.#lookups.forget(name);
    this.#originHeads.forget(name);
  }

  /** Forgets it here and on all other replicas. */
  invalidate(object: ObjectName, badEtag: string): void {
    this.forget(object, badEtag);
    const { peers, peerClient, observer } = this.#options;
    const { owners, terminating, self } = peers.current();
    for (const peer of [...owners, ...terminating]) {
      if (peer === self) continue;
      this.#asked(INVALIDATE_TIMEOUT_MS, (signal) =>
        peerClient.invalidate(peer, { object, etag: badEtag }, { signal }),
      ).catch((error: unknown) => {
        // It will learn by itself: every read of the old version fails at the origin.
        observer.warn('a peer was not told of a changed object', { peer, error });
      });
    }
  }

  /** Forgets all that any replica, or the cachestore, knows of the object: the next read asks the origin. */
  purge(object: ObjectName): void {
    this.#options.manifests.bury(object);
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
          const { head, ageMs } = await this.#asked(PEER_TIMEOUT_MS, (signal) =>
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

  /** A peer's answer within `limitMs`. */
  #asked<T>(limitMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('peer_unavailable', `no answer within ${limitMs} ms`);
    return withDeadline(this.#options.clock, limitMs, late, undefined, call);
  }

  #askOrigin(object: ObjectName, maxAgeMs: number): Promise<LearnedHead> {
    return this.#coalesce(this.#originHeads, object, async () => {
      const { clock, originHead, manifests } = this.#options;
      // Just started: another replica, or this one before, may have asked a moment ago.
      if (clock.now() - this.#startedMs < maxAgeMs) {
        const remembered = await this.#remembered(object, undefined);
        if (remembered !== undefined && this.#ageMs(remembered) < maxAgeMs) return remembered;
      }
      const learnedMs = clock.now();
      try {
        const learned = { head: await originHead(object.bucket, object.key), learnedMs };
        manifests.record(object, learned);
        return learned;
      } catch (error) {
        if (hasCode(error, 'not_found')) manifests.record(object, { goneMs: learnedMs });
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
        // The answer of an invalidated call goes to those who wait for it, and no further.
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
    // A purge is over once the origin was asked; a version found to be gone stays gone.
    if (this.#bad.get(name) === ANY_VERSION) this.#bad.delete(name);
    if (before !== undefined && before.head.etag !== learned.head.etag) this.invalidate(object, before.head.etag);
  }

  #rememberFailure(name: string, error: unknown): void {
    if (!hasCode(error, ...LASTING)) return;
    this.#heads.delete(name);
    // Told by another replica it may be old already: kept for its own TTL, not for one more.
    this.#absences.set(name, { error, learnedMs: this.#options.clock.now() - (error.ageMs ?? 0) });
  }

  /** The manifest's word, if it is young enough to be served while the origin is away. */
  async #remembered(object: ObjectName, signal: AbortSignal | undefined): Promise<LearnedHead | undefined> {
    const manifest = await this.#options.manifests.read(object, signal);
    if (manifest === undefined || manifest.gone || this.#ageMs(manifest) > this.#options.staleIfErrorMs)
      return undefined;
    // The manifest is written later than the news travels.
    const bad = this.#bad.get(tableKey(object));
    if (bad === ANY_VERSION || bad === manifest.head.etag) return undefined;
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

/** No bucket name holds a NUL. */
function tableKey({ bucket, key }: ObjectName): string {
  return `${bucket}\0${key}`;
}

/** An immutable object's TTL has no end, which a query can't say. */
function finite(maxAgeMs: number): number {
  return Math.min(maxAgeMs, Number.MAX_SAFE_INTEGER);
}

function lengthOf(name: string, { head }: LearnedHead): number {
  let length = name.length;
  for (const header in head.headers) length += header.length + (head.headers[header]?.length ?? 0);
  return length;
}
