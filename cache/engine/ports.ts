/**
 * Everything the engine needs from the outside, by role. Drivers implement these and are wired in `main.ts`; each port
 * has one conformance suite that the fakes and the real drivers pass (`test/conformance`).
 */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { FillReason } from '#cache/core/peer/fill-request.ts';
import type { HeadQuery, Invalidation } from '#cache/core/peer/head-request.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { ByteRange, ObjectHead, ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import type { PeerAddress, PeerSet } from '#cache/core/peer-set.ts';
import type { StoreFindings } from '#cache/core/store-verdict.ts';

/**
 * Where a body's bytes land: memory that the receiver owns (pooled segments), so that a source copies nothing and
 * stops reading its socket when there is no room.
 */
export interface ByteSink {
  /** Room for the next bytes (never empty); undefined = none now: pause, and go on when `onSpace` calls back. */
  space(): Uint8Array | undefined;
  /** The first `lengthBytes` of the last `space()` now hold the next bytes of the body. */
  filled(lengthBytes: number): void;
  /** Calls `resume` once, as soon as there is room; a second registration replaces the first. */
  onSpace(resume: () => void): void;
}

export interface CallOptions {
  /** Aborting ends the call at once with `cancelled` (or the signal's OrcaError reason) and frees its connection. */
  readonly signal: AbortSignal;
  /** For logs on both sides. */
  readonly requestId?: string | undefined;
  /** No byte for so long, while there is room in the sink, fails the call with the driver's *_unavailable code. */
  readonly firstByteTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
}

/** The far object store that holds the truth. Bucket and key are the origin's names. */
export interface Origin {
  /**
   * One HEAD, not retried. Rejects with not_found, bucket_not_found, access_denied (S3's answer for a missing key
   * without ListBucket), origin_denied, origin_missing_etag, origin_unsupported, origin_throttled, origin_unavailable.
   */
  head(bucket: string, key: string, options: CallOptions): Promise<ObjectHead>;
  /**
   * One ranged read of exactly that version (`If-Match` on the request, ETag, total and range checked on the answer),
   * not retried. Resolves when all of `[from, to)` is in the sink. Rejects with object_changed (412, or another ETag or
   * size), object_archived, not_found, origin_*; bytes that are already in the sink then are good, and a caller may resume behind them.
   */
  read(object: ObjectVersion, range: ByteRange, sink: ByteSink, options: CallOptions): Promise<void>;
  /**
   * One HEAD, not retried: where the part of a multipart upload lies in exactly that version. Rejects with
   * part_not_found, not_implemented (an origin that knows no parts), object_changed, not_found, origin_*.
   */
  part(object: ObjectVersion, part: number, options: CallOptions): Promise<ObjectPart>;
  /**
   * Whether the bucket is `owner`'s, as the origin calls accounts; one without accounts has every owner. Asked with the
   * key, or with '' of the bucket itself, which may be another right. Not retried. Rejects with access_denied (it is not,
   * or we may not know), invalid_argument (no account's name), origin_*.
   */
  checkOwner(bucket: string, key: string, owner: string, options: CallOptions): Promise<void>;
  /** Reads `bytes=0-0` of `<prefix>_orca-probe`: resolves if the bucket can be reached with our credentials. */
  probe(bucket: string, prefix: string, options: CallOptions): Promise<'reachable' | 'list_denied'>;
  /**
   * One page in S3's order, not retried; shorter than `maxKeys` only at the end, where it may still claim to be
   * truncated. Rejects with bucket_not_found,
   * access_denied, origin_*.
   */
  list(bucket: string, query: ListQuery, options: CallOptions): Promise<ListPage>;
  close(): Promise<void>;
}

/** The shared store near the pods that holds chunks. Chunks may vanish from it at any time. */
export interface ChunkStore {
  /**
   * One ranged read of a stored chunk; `range` counts from the chunk's start. `onInfo` is called once, before the first
   * byte, with the chunk's metadata (undefined for a chunk of the original's). Rejects with chunk_missing, chunk_bad
   * (length or ETag differ from `chunk`), store_unavailable.
   */
  read(
    chunk: Chunk,
    range: ByteRange,
    sink: ByteSink,
    onInfo: (metadata: ChunkMetadata | undefined) => void,
    options: CallOptions,
  ): Promise<void>;
  /** Whether the chunk is committed with the right length; rejects with chunk_bad or store_unavailable. */
  has(chunk: Chunk, options: CallOptions): Promise<boolean>;
  /**
   * Commits a chunk so that exactly one writer wins and nothing partial ever becomes visible. `lost` = another had
   * committed the same chunk (same length and CRC). Rejects with store_unavailable; its `status` tells a permanent
   * refusal (4xx but 409, 412, 429) from what may pass.
   */
  commit(
    chunk: Chunk,
    metadata: ChunkMetadata,
    /** The chunk's bytes in order; stay valid until the promise settles. */
    pieces: readonly Uint8Array[],
    /** `overwrite` repairs a chunk that was found bad: a plain checksummed write, whatever is there now; always `won`. */
    options: CallOptions & { readonly overwrite?: boolean },
  ): Promise<'won' | 'lost'>;
  /** Small objects under `_orca/`: identity, probe, manifests. */
  getSmall(name: string, options: CallOptions): Promise<Uint8Array | undefined>;
  putSmall(
    name: string,
    body: Uint8Array,
    options: CallOptions & { readonly ifAbsent?: boolean },
  ): Promise<'won' | 'lost'>;
  deleteSmall(name: string, options: CallOptions): Promise<void>;
  close(): Promise<void>;
}

/** A store of which is not known beforehand whether exactly one of many writers wins. */
export interface ProbedStore extends ChunkStore {
  /**
   * Tries and races conditional writes under a name of `_orca/probe/`, and deletes what it wrote. Rejects with
   * store_unavailable where it could not find out.
   */
  probe(name: string, options: CallOptions): Promise<StoreFindings>;
  /** Whether the condition decides commits; without it, as at first, they look first and write plainly. */
  trustConditions(isTrusted: boolean): void;
}

export type { PeerAddress, PeerSet };

export interface PeerView {
  current(): PeerSet;
  /** Called with each changed view; returns the unsubscribe function. */
  onChange(listener: (peers: PeerSet) => void): () => void;
  /** Resolves with the first list; until then the replica is not ready. */
  ready(): Promise<void>;
  /** Since the last good list, in ms; 0 for a static view. */
  staleMs(): number;
  close(): Promise<void>;
}

/** The memory class of a request, carried to the coordinator. */
export type Demand = 'started' | 'new';

export interface FillRequest {
  readonly chunk: Chunk;
  /** Counts from the chunk's start. */
  readonly range: ByteRange;
  readonly rank: 1 | 2;
  readonly epoch: string;
  readonly demand: Demand;
  /** The coordinator may take so long to its first byte. */
  readonly deadlineMs: number;
  readonly reason: FillReason;
  /** So little of the chunk that the coordinator need not bring all of it. */
  readonly sparse?: boolean;
}

/** Where a peer has bytes from that it sends: there before, or on their way from the origin. */
export type FillSource = 'memory' | 'store' | 'flight';

export type FillAnswer =
  /** All of the range is in the sink. */
  | { readonly kind: 'bytes' }
  /** The chunk is in the cachestore: read it there. */
  | { readonly kind: 'stored' }
  /** To `join` only: neither in flight nor in memory there. */
  | { readonly kind: 'none' }
  /** Views differ. */
  | { readonly kind: 'not_coordinator'; readonly owner: PeerAddress | undefined; readonly epoch: string };

export interface PeerClient {
  /**
   * `GET /internal/fill` of one peer. Rejects with peer_unavailable (dead, refused, no proof, cut body: bytes already in
   * the sink are good), and with the origin's outcome as the coordinator saw it: object_changed, not_found, origin_*,
   * overloaded. `onSource` is called before the first byte.
   */
  fill(
    peer: PeerAddress,
    request: FillRequest,
    sink: ByteSink,
    options: CallOptions & { readonly onSource?: (source: FillSource) => void },
  ): Promise<FillAnswer>;
  /**
   * `GET /internal/head`: what the peer knows of an object, or asks the origin for. Rejects with peer_unavailable, and
   * with the origin's outcome as the peer saw it.
   */
  head(
    peer: PeerAddress,
    query: HeadQuery,
    options: CallOptions,
  ): Promise<{ readonly head: ObjectHead; readonly ageMs: number }>;
  /** `POST /internal/invalidate`: the peer forgets that version. Rejects with peer_unavailable. */
  invalidate(peer: PeerAddress, invalidation: Invalidation, options: CallOptions): Promise<void>;
  close(): Promise<void>;
}

/** Time is shared with the operator; the engine names it here like everything else that it is given. */
export type { Clock } from '#shared/clock.ts';

/** What the engine counts; `http/metrics.ts` turns it into Prometheus, tests into numbers. */
export interface Observer {
  originRequest(operation: 'head' | 'read' | 'probe' | 'list', outcome: 'ok' | 'error', durationMs: number): void;
  originBytes(lengthBytes: number): void;
  storeRequest(operation: 'read' | 'has' | 'commit' | 'probe', outcome: string, durationMs: number): void;
  fill(outcome: 'committed' | 'lost' | 'uncommitted' | 'failed' | 'cancelled'): void;
  committedBytes(lengthBytes: number): void;
  /** How one was answered: by the origin, along with another, from memory, or by filling the chunk after all. */
  sparseRead(answer: 'origin' | 'joined' | 'memory' | 'fill'): void;
  /**
   * Of the origin's bytes: `read` by sparse reads; of these `excess` that nobody asked for, and `reused` by a fill that
   * did not ask for them again.
   */
  sparseBytes(kind: 'read' | 'excess' | 'reused', lengthBytes: number): void;
  /** A source that could not answer, and why: an error code or one of the source's own reasons. */
  fallThrough(
    source: 'head' | 'store' | 'leaving_replica' | 'peer_stall' | 'left_behind' | 'coordinator' | 'runner_up',
    reason: string,
  ): void;
  /** Something unexpected that no client sees, for the log: never a secret. */
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}
