/**
 * The read path: one GET or HEAD in five steps, `admit`, `resolve`, `plan`, `fetchChunks` and `firstBytes`.
 *
 * The first bytes are available before the status line is written. A later failure closes the connection; it never
 * yields a short or corrupt body.
 */
import { chunkAt, chunkSizeFor, sliceAt, sliceCount, type Chunk, type ChunkTier } from '#cache/core/chunk.ts';
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { rangeLength, type ByteRange, type ObjectHead, type ObjectVersion } from '#cache/core/object.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import { evaluatePreconditions, rangeApplies, type Preconditions } from '#cache/core/preconditions.ts';
import { resolveRange } from '#cache/core/range.ts';
import { bodyChecksums, partChecksums } from '#cache/core/s3/checksums.ts';
import { keyIsTooLong, MAX_KEY_BYTES } from '#cache/core/s3/request-target.ts';
import { isImmutable } from '#cache/core/s3/version-id.ts';
import { isInSequence, isSparse, type SequenceSoFar } from '#cache/core/sparse.ts';
import type { FetchContext } from '#cache/engine/fetch/context.ts';
import { memoryPiece } from '#cache/engine/fetch/from-memory.ts';
import { startingWith, streamSlices } from '#cache/engine/fetch/read-ahead.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { KnownHead, Metadata } from '#cache/engine/metadata/metadata.ts';
import type { MultipartParts } from '#cache/engine/metadata/multipart-parts.ts';
import { resolveVersion, versionTtlMs } from '#cache/engine/metadata/version-head.ts';
import type { Sequences } from '#cache/engine/sparse/sequences.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import { asView } from '#cache/engine/streams/view-or-copy.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { ruleOf, underRule, type BucketRules } from '#cache/engine/buckets/bucket-rule.ts';
import { notCached, requireStored } from '#cache/engine/fetch/only-if-cached.ts';
import { pathPrefixOf } from '#cache/engine/metadata/path-prefix.ts';

export interface ReadContext extends FetchContext, BucketRules {
  readonly metadata: Metadata;
  readonly parts: MultipartParts;
  readonly sequences: Sequences;
  readonly originId: string;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly capacity: Pick<Capacity, 'touch'>;
  readonly readahead: () => number;
}

export interface ReadRequest {
  /** The client's names. */
  readonly bucket: string;
  readonly key: string;
  /** Undefined = the current version. */
  readonly versionId?: string | undefined;
  readonly range: string | undefined;
  /** From 1; instead of a range. */
  readonly part?: number | undefined;
  readonly conditions: Preconditions;
  /** The client's limit for the age of what is known about the object; undefined = none. */
  readonly maxAgeMs?: number | undefined;
  /** The origin must not be queried: rejects with `not_cached` unless everything is stored. */
  readonly onlyIfCached?: boolean;
  /** HEAD: everything but the bytes. */
  readonly headOnly: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** How fast the client takes its body; without one it counts as steady. */
  readonly pace?: Pace | undefined;
}

export interface ReadResult {
  readonly head: ObjectHead;
  readonly ageMs: number;
  /** The origin could not be reached; this is the last known metadata. */
  readonly stale: boolean;
  readonly status: 200 | 206 | 304;
  /** The bytes of the object that the body holds. */
  readonly range: ByteRange;
  /** How many parts the object has; only for a request by part number, where the count is known. */
  readonly partsCount: number | undefined;
  /** The checksum headers of the body of a request by part number, if they are known. */
  readonly partChecksums: Readonly<Record<string, string>> | undefined;
  /** How the answer is made up, for `X-Orca-Explain`. */
  readonly object: ObjectVersion;
  readonly chunkSizeBytes: number;
  /** Where the first bytes came from; undefined without a body. */
  readonly source: Source | undefined;
  readonly body: AsyncGenerator<Piece, void, void>;
}

/** The object under the origin's names: after `admit` no other names are used. */
interface Admitted {
  readonly object: ObjectName;
  readonly ttlMs: number;
}

interface Plan {
  readonly object: ObjectVersion;
  readonly status: 200 | 206 | 304;
  readonly range: ByteRange;
  readonly partsCount: number | undefined;
  readonly partChecksums: Readonly<Record<string, string>> | undefined;
  readonly chunkSizeBytes: number;
}

/**
 * An older entry is revalidated before it fails a precondition. A client that sends a HEAD to one replica and a ranged
 * GET to another must not get a 412 because the other one's entry is a few seconds older.
 */
const REVALIDATE_AFTER_MS = 1_000;
/** After these errors of the origin the known head cannot be true any more. */
const OUTDATED: readonly ErrorCode[] = ['object_changed', 'not_found', 'version_not_found'];
/** The head of an immutable object does not expire. */
const IMMUTABLE_TTL_MS = Number.POSITIVE_INFINITY;

export async function read(context: ReadContext, request: ReadRequest): Promise<ReadResult> {
  const admitted = admit(context, request);
  for (let attempt = 1; ; attempt++) {
    const isFirst = attempt === 1;
    const known = isFirst
      ? await resolve(context, admitted, request)
      : await context.metadata.resolveAgain(admitted.object, request.signal);
    try {
      const planned = await plan(context, admitted, known, request);
      const answer = { ...known, ...planned };
      if (request.headOnly || planned.status === 304 || planned.range.to === planned.range.from)
        return { ...answer, source: undefined, body: noBytes() };
      const prefix = pathPrefixOf(known.head, planned.object, planned.chunkSizeBytes);
      // A shortcut for small reads from memory: the source chain would cost more than their bytes.
      const whole = wholeFromMemory(context, planned, prefix);
      if (whole !== undefined) {
        const { range, chunkSizeBytes } = planned;
        if (range.to % chunkSizeBytes === 0) context.sequences.passed(prefix, range.to, chunkSizeBytes);
        return { ...answer, source: whole.source, body: onePiece(whole) };
      }
      if (request.onlyIfCached === true) await requireStored(context, planned, prefix, request.signal);
      return { ...answer, ...(await firstBytes(fetchChunks(context, planned, prefix, request))) };
    } catch (error) {
      if (hasCode(error, 'object_archived')) throw withStorageClass(error, known.head);
      // Before the status line the client need not know that the object has changed: resolve again, once.
      if (!hasCode(error, 'object_changed') || !isFirst || request.onlyIfCached === true) throw error;
    }
  }
}

/** Step 1. Is this bucket served, and what does the origin call the object? */
export function admit(context: ReadContext, request: Pick<ReadRequest, 'bucket' | 'key' | 'versionId'>): Admitted {
  const rule = ruleOf(context, request.bucket);
  if (keyIsTooLong(request.key))
    throw new OrcaError('key_too_long', `the key is longer than ${MAX_KEY_BYTES} bytes`, {
      fields: { Size: String(Buffer.byteLength(request.key)), MaxSizeAllowed: String(MAX_KEY_BYTES) },
    });
  const key = underRule(rule, request.key);
  const { versionId } = request;
  const name = { originId: context.originId, bucket: rule.originBucket, key };
  return {
    object: versionId === undefined ? name : { ...name, versionId },
    ttlMs: rule.immutable ? IMMUTABLE_TTL_MS : rule.metadataTtlMs,
  };
}

/**
 * Step 2. What is the object's version now? An entry that would make a precondition fail is revalidated first, before
 * the client gets a 412 or a new body.
 */
async function resolve(context: ReadContext, admitted: Admitted, request: ReadRequest): Promise<KnownHead> {
  const { object, ttlMs } = admitted;
  const { maxAgeMs } = request;
  const isVersion = isImmutable(object.versionId);
  if (request.onlyIfCached === true) {
    const freshness = { ttlMs: isVersion ? versionTtlMs(ttlMs) : ttlMs, maxAgeMs };
    const stored = await context.metadata.stored(object, freshness, request.signal);
    if (stored === undefined) throw notCached('nothing recent enough is known about the object');
    return stored;
  }
  if (isVersion) return resolveVersion(context.metadata, object, { ttlMs, maxAgeMs }, request.signal);
  const known = await context.metadata.resolve(object, { ttlMs, maxAgeMs }, request.signal);
  const { ifMatch, ifNoneMatch } = request.conditions;
  const outcome = evaluatePreconditions(request.conditions, known.head).kind;
  const mayBeOutdated =
    (ifMatch !== undefined && outcome === 'failed') || (ifNoneMatch !== undefined && outcome === 'proceed');
  return mayBeOutdated ? context.metadata.revalidate(object, known, REVALIDATE_AFTER_MS, request.signal) : known;
}

/** Step 3. Preconditions, range, chunk size: which bytes of which chunks? */
async function plan(context: ReadContext, admitted: Admitted, known: KnownHead, request: ReadRequest): Promise<Plan> {
  const { head } = known;
  const { chunking } = context;
  const object = { ...admitted.object, etag: head.etag, sizeBytes: head.sizeBytes };
  const chunkSizeBytes = chunkSizeFor(head.sizeBytes, chunking.sizeBytes, chunking.tiers);
  const common = { object, chunkSizeBytes, partsCount: undefined, partChecksums: undefined };
  const whole = { from: 0, to: head.sizeBytes };
  const outcome = evaluatePreconditions(request.conditions, head);
  if (outcome.kind === 'failed')
    throw new OrcaError('precondition_failed', `${outcome.condition} does not hold`, { details: outcome.condition });
  if (outcome.kind === 'not_modified') return { ...common, status: 304, range: whole };
  if (request.part !== undefined)
    return { ...common, ...(await partOf(context, object, head, request.part, request.signal)) };
  const range = rangeApplies(request.conditions, head) ? request.range : undefined;
  const wanted = resolveRange(range, head.sizeBytes);
  if (wanted.kind === 'unsatisfiable')
    throw new OrcaError('range_not_satisfiable', `range ${request.range} of ${head.sizeBytes} bytes`, {
      details: String(head.sizeBytes),
    });
  if (wanted.kind === 'whole') return { ...common, status: 200, range: whole };
  return { ...common, status: 206, range: wanted.range };
}

/** Step 4. The bytes of the planned chunks, in order, each from the first source that has it, with read-ahead. */
async function* fetchChunks(
  context: ReadContext,
  { object, range, chunkSizeBytes }: Plan,
  prefix: string,
  request: ReadRequest,
): AsyncGenerator<Piece, void, void> {
  // Recorded once for the read, and only if a slice of it is small.
  let sequence: SequenceSoFar | undefined;
  const isSparseSlice = (chunk: Chunk, slice: ByteRange, number: number): boolean => {
    if (!isSparse(chunk, slice)) return false;
    sequence ??= context.sequences.continue(prefix, range);
    return !isInSequence(chunk, sequence, number);
  };
  try {
    yield* streamSlices(context, {
      count: sliceCount(range, chunkSizeBytes),
      chunkSizeBytes,
      slice: (number) => {
        const slice = sliceAt(range, chunkSizeBytes, number);
        const chunk = chunkAt(object, chunkSizeBytes, slice.index, prefix);
        context.capacity.touch(chunk.path, object.bucket);
        return { chunk, range: slice, sparse: isSparseSlice(chunk, slice, number) };
      },
      readahead: context.readahead(),
      signal: request.signal,
      requestId: request.requestId,
      pace: request.pace,
    });
  } catch (error) {
    if (hasCode(error, ...OUTDATED)) context.metadata.invalidate(object, object.etag);
    throw error;
  }
}

/** Step 5. Waits for the first bytes, so that their failure can still become a status line. */
async function firstBytes(pieces: AsyncGenerator<Piece, void, void>): Promise<Pick<ReadResult, 'source' | 'body'>> {
  const first = await pieces.next();
  if (first.done === true) throw new OrcaError('internal', 'a body ended before its first byte');
  return { source: first.value.source, body: startingWith(first.value, pieces) };
}

/** The byte range of one part of a multipart object. */
async function partOf(
  { parts, metadata }: ReadContext,
  object: ObjectVersion,
  head: ObjectHead,
  part: number,
  signal: AbortSignal,
): Promise<Pick<Plan, 'status' | 'range' | 'partsCount' | 'partChecksums'>> {
  try {
    const { range, count, checksums = {} } = await parts.of(object, part, signal);
    // An object that was uploaded whole has one part, which is all of it.
    const own = count === undefined ? bodyChecksums(head.headers) : partChecksums(checksums, head.headers);
    // An empty object has no range that a 206 could name.
    return { status: object.sizeBytes === 0 ? 200 : 206, range, partsCount: count, partChecksums: own };
  } catch (error) {
    if (hasCode(error, ...OUTDATED)) metadata.invalidate(object, object.etag);
    throw error;
  }
}

/** S3 reports the storage class of an object that cannot be read. */
function withStorageClass(cause: OrcaError, { headers }: ObjectHead): OrcaError {
  const StorageClass = headers['x-amz-storage-class'];
  return new OrcaError(cause.code, cause.message, {
    cause,
    ...(StorageClass !== undefined && { fields: { StorageClass } }),
  });
}

/** The whole body as one piece, if it lies in one segment of the memory tier. */
function wholeFromMemory(
  context: ReadContext,
  { object, range, chunkSizeBytes }: Plan,
  prefix: string,
): Piece | undefined {
  if (sliceCount(range, chunkSizeBytes) !== 1 || rangeLength(range) > SEGMENT_BYTES) return undefined;
  const slice = sliceAt(range, chunkSizeBytes, 0);
  const { path } = chunkAt(object, chunkSizeBytes, slice.index, prefix);
  if (context.flights.get(path) !== undefined) return undefined;
  const piece = memoryPiece(context.memoryTier, path, slice, asView);
  if (piece === undefined) return undefined;
  if (piece.bytes.length === rangeLength(range)) {
    context.capacity.touch(path, object.bucket);
    return piece;
  }
  piece.release();
  return undefined;
}

async function* onePiece(piece: Piece): AsyncGenerator<Piece, void, void> {
  yield piece;
}

async function* noBytes(): AsyncGenerator<Piece, void, void> {}
