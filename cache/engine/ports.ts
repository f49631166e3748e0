/**
 * The engine's ports: everything it needs from outside, by role. Drivers implement them and are wired in `app.ts`. Each
 * port has one conformance suite, which the fakes and the real drivers pass (`test/conformance`).
 */
import type { EvictionReason, UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import type { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectHead, ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import type { PeerAddress, PeerSet } from '#cache/core/peer-set.ts';
import type { FillReason } from '#cache/core/peer/fill-request.ts';
import type { HeadQuery, Invalidation } from '#cache/core/peer/head-request.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { VersionPage, VersionQuery } from '#cache/core/s3/version-list.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import type { StoreFindings } from '#cache/core/store-verdict.ts';

/**
 * Where a body's bytes land: memory that the receiver owns (pooled segments), so that a source copies nothing and
 * stops reading its socket when there is no room.
 */
export interface ByteSink {
  /**
   * Room for the next bytes, never empty; undefined = none now: pause until `onSpace` calls back. The memory belongs to
   * the source until it calls `filled`, or the call settles, even if the call was cancelled meanwhile.
   */
  space(): Uint8Array | undefined;
  /** The first `lengthBytes` of the last `space()` now hold the next bytes of the body. */
  filled(lengthBytes: number): void;
  /** Calls `resume` once, as soon as there is room; a second registration replaces the first. */
  onSpace(resume: () => void): void;
  /**
   * The source may still write into the last `space()` after the call has settled, until it calls the returned function:
   * that memory must not be reused before. A file read cannot be interrupted. A source copies the bytes to a sink
   * without this function.
   */
  keep?(): () => void;
}

export interface CallOptions {
  /** Aborting ends the call at once with `cancelled` (or the signal's OrcaError reason) and frees its connection. */
  readonly signal: AbortSignal;
  /** For logs on both sides. */
  readonly requestId?: string | undefined;
  /** How long the call may wait for its first byte, before it fails with the driver's *_unavailable. */
  readonly firstByteTimeoutMs?: number;
  /** The same without a byte later on, while the sink has room. */
  readonly stallTimeoutMs?: number;
  /** The call continues work that would be lost with it: an open circuit breaker admits it. Drivers ignore it. */
  readonly continues?: boolean;
}

/** The remote object store that is the source of truth. Bucket and key are the origin's names. */
export interface Origin {
  /**
   * One HEAD, not retried: of the current version, or of the one of an ID. Rejects with not_found, bucket_not_found,
   * version_not_found, version_invalid, delete_marker, access_denied (S3's answer for a missing key without ListBucket),
   * origin_denied, origin_missing_etag, origin_unsupported, origin_throttled, origin_unavailable; not_implemented from an
   * origin without versions.
   */
  head(bucket: string, key: string, options: CallOptions, versionId?: string): Promise<ObjectHead>;
  /**
   * One ranged read of exactly that version (`If-Match` on the request, ETag, total and range checked on the answer),
   * not retried. Resolves when all of `[from, to)` is in the sink. Rejects with object_changed (412, or another ETag or
   * size), object_archived, not_found, origin_*. Bytes that are in the sink by then are good, and a caller may resume
   * after them.
   */
  read(object: ObjectVersion, range: ByteRange, sink: ByteSink, options: CallOptions): Promise<void>;
  /**
   * One HEAD, not retried: the byte range of one part of a multipart upload, in exactly that version. Rejects with
   * part_not_found, not_implemented (an origin without parts), object_changed, not_found, origin_*.
   */
  part(object: ObjectVersion, part: number, options: CallOptions): Promise<ObjectPart>;
  /**
   * Resolves if the account `owner` owns the bucket; an origin without accounts accepts every owner. Checked with a
   * request for the key, or with '' for the bucket itself, which may need another permission. Not retried. Rejects with
   * access_denied (another owner, or we may not know), invalid_argument (not an account name), origin_*.
   */
  checkOwner(bucket: string, key: string, owner: string, options: CallOptions): Promise<void>;
  /**
   * One GET of a document about a bucket (`key` is empty) or an object, not retried. Resolves also with S3's errors for a
   * document that does not exist, such as NoSuchTagSet. Rejects with not_implemented (no such document there),
   * access_denied, bucket_not_found, not_found, version_not_found, delete_marker, origin_*.
   */
  subResource(
    bucket: string,
    key: string,
    wanted: SubResource,
    options: CallOptions,
    versionId?: string,
  ): Promise<SubResourceAnswer>;
  /** Reads `bytes=0-0` of `<prefix>_orca-probe`: resolves if the bucket is reachable with our credentials. */
  probe(bucket: string, prefix: string, options: CallOptions): Promise<'reachable' | 'list_denied'>;
  /**
   * One page in S3's order, not retried; shorter than `maxKeys` only at the end, where it may still be marked as
   * truncated. Rejects with bucket_not_found, access_denied, origin_*.
   */
  list(bucket: string, query: ListQuery, options: CallOptions): Promise<ListPage>;
  /** The same with all versions. Rejects with not_implemented from an origin that cannot list them in S3's order. */
  listVersions(bucket: string, query: VersionQuery, options: CallOptions): Promise<VersionPage>;
  /**
   * The names of the account's buckets that begin with `prefix`, at most S3's 10 000; not retried. Rejects with
   * access_denied, origin_*, and not_implemented from an origin that cannot list them.
   */
  listBuckets(prefix: string, options: CallOptions): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Calls that have ended at their limit, while what they started has not returned. */
export interface HungCalls {
  readonly count: number;
  /** Since the oldest of them started. */
  readonly longestMs: number;
  /** Memory that they keep until they return. */
  readonly lentBytes: number;
}

/** A name that the store lists. */
export interface StoredEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** By the store's clock, since 1970. */
  readonly modifiedMs: number;
}

export interface StoredPage {
  readonly entries: readonly StoredEntry[];
  /** Opaque; undefined = the last page. */
  readonly cursor: string | undefined;
}

export interface Removal {
  readonly removed: number;
  readonly failed: readonly { readonly name: string; readonly error: OrcaError }[];
}

/** The maximum of a page of `list` and of a call of `remove`: S3's. */
export const MAX_STORE_NAMES = 1_000;

/** The shared store near the pods that holds chunks. Chunks may disappear from it at any time. */
export interface ChunkStore {
  /** It reads and writes in threads of its own, which need shared memory. */
  readonly sharesMemory?: boolean;
  /** Undefined for a store whose calls can all be ended. */
  readonly hung?: HungCalls | undefined;
  /**
   * One ranged read of a stored chunk; `range` counts from the chunk's start. `onInfo` is called once, before the first
   * byte, with the chunk's metadata (undefined for a chunk that the Go implementation wrote). Rejects with
   * chunk_missing, chunk_bad (length or ETag differ from `chunk`), store_unavailable.
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
   * Commits a chunk so that exactly one writer wins and nothing partial ever becomes visible. `lost` = another writer
   * had committed the same chunk (same length and CRC). Rejects with store_unavailable, whose `status` distinguishes a
   * permanent refusal (4xx except 409, 412, 429) from a transient one.
   */
  commit(
    chunk: Chunk,
    metadata: ChunkMetadata,
    /** The chunk's bytes in order; stay valid until the promise settles. */
    pieces: readonly Uint8Array[],
    /**
     * `overwrite` repairs a corrupt chunk: an unconditional checksummed write, whatever is stored now; always `won`.
     */
    options: CallOptions & { readonly overwrite?: boolean },
  ): Promise<'won' | 'lost'>;
  /** Small objects under `_orca/`: identity, probe, manifests, pages of lists. */
  getSmall(name: string, options: CallOptions): Promise<Uint8Array | undefined>;
  putSmall(
    name: string,
    body: Uint8Array,
    options: CallOptions & { readonly ifAbsent?: boolean },
  ): Promise<'won' | 'lost'>;
  deleteSmall(name: string, options: CallOptions): Promise<void>;
  /**
   * One page of the names that begin with `prefix`, which is `<originId>/<0 to 64 hex digits>` or begins with `_orca/`; at
   * most `MAX_STORE_NAMES`, in any order that does not change between pages. Also names that this project never wrote.
   * A page may be empty and not the last one. A page is complete, or the call rejects, with store_unavailable: its
   * `status` is 403 without the permission to list. The first page has what any replica wrote before the call; but of
   * chunks, `_orca/manifests/` and `_orca/lists/`, what other replicas wrote in the last five minutes may be missing.
   */
  list(prefix: string, cursor: string | undefined, options: CallOptions): Promise<StoredPage>;
  /**
   * Deletes chunks (by their paths) and small objects, at most `MAX_STORE_NAMES`; one that is not stored counts as
   * removed. Resolves also if some or all could not be deleted, each with its store_unavailable; rejects with
   * store_unavailable where the outcome is unknown.
   */
  remove(names: readonly string[], options: CallOptions): Promise<Removal>;
  /** The size of the whole store, if it has one of its own, such as a file system. */
  totalBytes?(options: CallOptions): Promise<number | undefined>;
  close(): Promise<void>;
}

/** A store whose conditional writes may or may not be atomic. */
export interface ProbedStore extends ChunkStore {
  /**
   * Tries and races conditional writes under a name of `_orca/probe/`, and deletes what it wrote. Rejects with
   * store_unavailable where the probe could not be completed.
   */
  probe(name: string, options: CallOptions): Promise<StoreFindings>;
  /**
   * Whether commits rely on conditional writes. Otherwise, and until this is called, they check with a HEAD and write
   * unconditionally.
   */
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
  /** How long the coordinator may take to its first byte. */
  readonly deadlineMs: number;
  readonly reason: FillReason;
  /** Such a small part of the chunk that the coordinator need not fetch the whole chunk. */
  readonly sparse?: boolean;
}

/** Where a peer's bytes come from: it has them already, or its fill is fetching them from the origin. */
export type FillSource = 'memory' | 'store' | 'flight';

export type FillAnswer =
  /** The whole range is in the sink. */
  | { readonly kind: 'bytes' }
  /** The chunk is in the cachestore: read it there. */
  | { readonly kind: 'stored' }
  /** Only for `join`: neither in flight nor in memory there. Only for `commit`: not known to be committed. */
  | { readonly kind: 'none' }
  /** The two replicas' views of the cluster differ. */
  | { readonly kind: 'not_coordinator'; readonly owner: PeerAddress | undefined; readonly epoch: string };

/** A chunk to bring into the cachestore, at the lowest priority. */
export interface WarmRequest {
  readonly chunk: Chunk;
  readonly rank: 1 | 2;
  readonly epoch: string;
  /** The cachestore has just answered that it does not have the chunk. */
  readonly knownAbsent: boolean;
}

export interface WarmResult {
  /** Read from the origin for this call; 0 if the chunk was stored, or is the work of another fill. */
  readonly originBytes: number;
}

export interface PeerClient {
  /**
   * `GET /internal/fill` of one peer. Rejects with peer_unavailable (dead, refused, failed authentication, truncated
   * body: bytes already in the sink are good), and with the origin's outcome at the coordinator: object_changed,
   * not_found, origin_*, overloaded. `onSource` is called before the first byte.
   */
  fill(
    peer: PeerAddress,
    request: FillRequest,
    sink: ByteSink,
    options: CallOptions & { readonly onSource?: (source: FillSource) => void },
  ): Promise<FillAnswer>;
  /**
   * `GET /internal/head`: an object's head, which the peer knows or gets from the origin. Rejects with peer_unavailable,
   * and with the origin's outcome at the peer.
   */
  head(
    peer: PeerAddress,
    query: HeadQuery,
    options: CallOptions,
  ): Promise<{ readonly head: ObjectHead; readonly ageMs: number }>;
  /** `POST /internal/invalidate`: the peer drops its metadata of that version. Rejects with peer_unavailable. */
  invalidate(peer: PeerAddress, invalidation: Invalidation, options: CallOptions): Promise<void>;
  /**
   * `POST /internal/reads`: one message of `encodeReport` for the peer's shards. Rejects with peer_unavailable; also an
   * older release, which does not know the call.
   */
  reads(peer: PeerAddress, report: Uint8Array, options: CallOptions): Promise<void>;
  /**
   * `POST /internal/warm`: resolves when the peer knows the chunk to be committed; no bytes of it move. Rejects with
   * not_coordinator (the replicas' views differ), store_unavailable (not committed), peer_unavailable (also an older
   * release, which does not know the call), and with the origin's outcome at the peer.
   */
  warm(peer: PeerAddress, request: WarmRequest, options: CallOptions): Promise<WarmResult>;
  /** `POST /internal/usage`: a report to the accountant, and its answer. Rejects with peer_unavailable. */
  usage(peer: PeerAddress, report: UsageReport, options: CallOptions): Promise<UsageAnswer>;
  close(): Promise<void>;
}

/** The clock is shared with the operator; it is named here like every other dependency of the engine. */
export type { Clock } from '#shared/clock.ts';

/** An object of the origin, or a bucket. */
export interface OriginName {
  readonly bucket: string;
  readonly key?: string;
}

/** What the engine counts; `http/metrics.ts` turns it into Prometheus, tests into numbers. */
export interface Observer {
  originRequest(
    operation: 'head' | 'read' | 'probe' | 'list' | 'sub_resource',
    outcome: 'ok' | 'error',
    durationMs: number,
    name: OriginName,
  ): void;
  originBytes(lengthBytes: number, name: OriginName): void;
  storeRequest(
    operation: 'read' | 'has' | 'commit' | 'probe' | 'list' | 'remove',
    outcome: string,
    durationMs: number,
  ): void;
  fill(outcome: 'committed' | 'lost' | 'uncommitted' | 'failed' | 'cancelled'): void;
  committedBytes(lengthBytes: number): void;
  /** How a sparse read was answered: by the origin, joined with another, from memory, or by a fill of the chunk. */
  sparseRead(answer: 'origin' | 'joined' | 'memory' | 'fill'): void;
  /**
   * Origin bytes of sparse reads. `read`: all of them; `excess`: those that were not requested; `reused`: those that a
   * later fill did not have to fetch again.
   */
  sparseBytes(kind: 'read' | 'excess' | 'reused', lengthBytes: number): void;
  /** How a page of a list was answered: by the origin, from memory within its TTL, or by the last known page. */
  list(answer: 'origin' | 'memory' | 'stale'): void;
  /**
   * A page of a list that is written to the cachestore. `kept_other`: another page keeps the place; `too_large`: it exceeds
   * the limit; `dropped`: too many were waiting.
   */
  listWrite(outcome: 'written' | 'kept_other' | 'too_large' | 'dropped' | 'failed'): void;
  /** Chunks that were deleted from the cachestore, and why. */
  evicted(reason: EvictionReason, lengthBytes: number, chunks: number): void;
  /** A chunk that was evicted less than a day ago has been committed again. */
  refilled(lengthBytes: number): void;
  /** The sweep of a shard. */
  sweep(outcome: 'done' | 'failed', durationMs: number): void;
  /** A source that could not answer, and why: an error code or one of the source's own reasons. */
  fallThrough(
    source: 'head' | 'store' | 'leaving_replica' | 'peer_stall' | 'left_behind' | 'coordinator' | 'runner_up',
    reason: string,
  ): void;
  /** Logs something unexpected that no client sees. Never a secret. */
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}
