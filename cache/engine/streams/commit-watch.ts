/**
 * Singleflight for "is the chunk committed by now?": one query for all readers, at most every 250 ms. The replica that
 * fills the chunk knows first. The cachestore is queried only if that one does not answer.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import type { ByteSink, ChunkStore, Clock, Observer, PeerAddress, PeerClient, PeerView } from '#cache/engine/ports.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { isInStore } from '#cache/engine/upstream/store-query.ts';
import { Singleflight } from '#shared/singleflight.ts';

/** A commit takes about this long. */
const ASK_AGAIN_MS = 250;
/** Replicas and cachestore are near: a slower answer is not worth waiting for. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Chunks that readers asked about within ASK_AGAIN_MS. */
const MAX_REMEMBERED = 1_000;

export interface CommitWatchOptions {
  readonly store: ChunkStore;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly observer: Observer;
}

/** The replica that fills the chunk, and how this one ranks it. */
export interface Filler {
  readonly peer: PeerAddress;
  readonly rank: 1 | 2;
}

export class CommitWatch {
  readonly #options: CommitWatchOptions;
  readonly #flights = new Singleflight<ChunkPath, boolean>();
  /** When a chunk was last reported as missing. */
  readonly #missedMs = new LruTable<number>({ maxEntries: MAX_REMEMBERED });

  constructor(options: CommitWatchOptions) {
    this.#options = options;
  }

  async isStored(chunk: Chunk, filler: Filler, signal: AbortSignal): Promise<boolean> {
    const { catalog, clock } = this.#options;
    if (catalog.has(chunk.path)) return true;
    const missedMs = this.#missedMs.get(chunk.path);
    if (missedMs !== undefined && clock.now() - missedMs < ASK_AGAIN_MS) return false;
    return abortable(
      this.#flights.do(chunk.path, () => this.#ask(chunk, filler)),
      signal,
    );
  }

  /** It has a deadline of its own, since it belongs to no reader. */
  async #ask(chunk: Chunk, filler: Filler): Promise<boolean> {
    const { catalog, clock } = this.#options;
    const askedMs = clock.now();
    const isStored = (await this.#askPeer(chunk, filler)) ?? (await this.#askStore(chunk));
    if (isStored) catalog.add(chunk.path);
    else this.#missedMs.set(chunk.path, askedMs);
    return isStored;
  }

  /** Undefined if the peer does not know. */
  async #askPeer(chunk: Chunk, { peer, rank }: Filler): Promise<boolean | undefined> {
    const { peers, peerClient, clock } = this.#options;
    const request = {
      chunk,
      range: { from: 0, to: 1 },
      rank,
      epoch: peers.current().epoch,
      demand: 'new',
      deadlineMs: ANSWER_TIMEOUT_MS,
      reason: 'commit',
    } as const;
    const timeouts = { firstByteTimeoutMs: ANSWER_TIMEOUT_MS, stallTimeoutMs: ANSWER_TIMEOUT_MS };
    const late = () => new OrcaError('peer_unavailable', `no answer within ${ANSWER_TIMEOUT_MS} ms`);
    try {
      const { kind } = await withDeadline(clock, ANSWER_TIMEOUT_MS, late, undefined, (signal) =>
        peerClient.fill(peer, request, oneByteSink(), { signal, ...timeouts }),
      );
      return kind === 'not_coordinator' ? undefined : kind === 'stored';
    } catch (error) {
      if (hasCode(error, 'peer_unavailable')) return undefined;
      // Whatever the reason: the reader gets the bytes, or the same error, from its next source.
      return false;
    }
  }

  #askStore(chunk: Chunk): Promise<boolean> {
    const { store, observer } = this.#options;
    const { signal } = new AbortController();
    return isInStore(store, chunk, signal, (code) => observer.fallThrough('store', code));
  }
}

/** For peers of an older version, which send the byte. */
function oneByteSink(): ByteSink {
  const byte = new Uint8Array(1);
  return { space: () => byte, filled: () => {}, onSpace: () => {} };
}
