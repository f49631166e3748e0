/**
 * The read path: one GET or HEAD in five steps, `admit`, `resolve`, `plan`, `fetchChunks` and `firstBytes`.
 *
 * The first bytes are available before the status line is written. A later failure closes the connection; it never
 * yields a short or corrupt body.
 */
import { chunkAt, sliceAt, sliceCount, type Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { rangeLength, type ByteRange, type ObjectHead } from '#cache/core/object.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import { evaluatePreconditions } from '#cache/core/preconditions.ts';
import { keyIsTooLong, MAX_KEY_BYTES } from '#cache/core/s3/request-target.ts';
import { isImmutable } from '#cache/core/s3/version-id.ts';
import { isInSequence, isSparse, type SequenceSoFar } from '#cache/core/sparse.ts';
import type { FetchContext } from '#cache/engine/fetch/context.ts';
import { memoryPiece } from '#cache/engine/fetch/from-memory.ts';
import { startingWith, streamSlices } from '#cache/engine/fetch/read-ahead.ts';
import { KnownPieces } from '#cache/engine/memory/known-pieces.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { KnownHead, Metadata } from '#cache/engine/metadata/metadata.ts';
import { resolveVersion, versionTtlMs } from '#cache/engine/metadata/version-head.ts';
import type { Sequences } from '#cache/engine/sparse/sequences.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import { asView } from '#cache/engine/streams/view-or-copy.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { plan, OUTDATED, type Plan, type PlanContext, type PlanRequest } from './read-plan.ts';
import { ruleOf, underRule, type BucketRules } from '#cache/engine/buckets/bucket-rule.ts';
import { notCached, requireStored } from '#cache/engine/fetch/only-if-cached.ts';
import { pathPrefixOf } from '#cache/engine/metadata/path-prefix.ts';
import { signalOf } from '#shared/abortable.ts';
import { andThen, type Soon } from '#shared/soon.ts';

export interface ReadContext extends FetchContext, BucketRules, PlanContext {
  readonly metadata: Metadata;
  readonly sequences: Sequences;
  readonly originId: string;
  readonly capacity: Pick<Capacity, 'touch'>;
  readonly readahead: () => number;
}

export interface ReadRequest extends PlanRequest {
  /** The client's names. */
  readonly bucket: string;
  readonly key: string;
  /** Undefined = the current version. */
  readonly versionId?: string | undefined;
  /** The client's limit for the age of what is known about the object; undefined = none. */
  readonly maxAgeMs?: number | undefined;
  /** The origin must not be queried: rejects with `not_cached` unless everything is stored. */
  readonly onlyIfCached?: boolean;
  /** HEAD: everything but the bytes. */
  readonly headOnly: boolean;
  readonly requestId: string;
  /** How fast the client takes its body; without one it counts as steady. */
  readonly pace?: Pace | undefined;
}

export interface ReadResult extends Plan {
  readonly head: ObjectHead;
  readonly ageMs: number;
  /** The origin could not be reached; this is the last known metadata. */
  readonly stale: boolean;
  /** Where the first bytes came from; undefined without a body. */
  readonly source: Source | undefined;
  readonly body: AsyncGenerator<Piece, void, void>;
}

/** The object under the origin's names: after `admit` no other names are used. */
interface Admitted {
  readonly object: ObjectName;
  readonly ttlMs: number;
}

/**
 * An older entry is revalidated before it fails a precondition. A client that sends a HEAD to one replica and a ranged
 * GET to another must not get a 412 because the other one's entry is a few seconds older.
 */
const REVALIDATE_AFTER_MS = 1_000;
/** The head of an immutable object does not expire. */
const IMMUTABLE_TTL_MS = Number.POSITIVE_INFINITY;

/** Steps that know their result return it, so that a read from memory is answered in one turn. Never throws: rejects. */
export function read(context: ReadContext, request: ReadRequest): Soon<ReadResult> {
  try {
    const admitted = admit(context, request);
    const known = resolve(context, admitted, request);
    return andThen(known, (head) => answer(context, admitted, head, request, true));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Steps 3 to 5. Before the status line the client need not know that the object has changed: resolves again, once. */
function answer(
  context: ReadContext,
  admitted: Admitted,
  known: KnownHead,
  request: ReadRequest,
  isFirst: boolean,
): Soon<ReadResult> {
  const onError = async (error: unknown): Promise<ReadResult> => {
    if (hasCode(error, 'object_archived')) throw withStorageClass(error, known.head);
    if (!hasCode(error, 'object_changed') || !isFirst || request.onlyIfCached === true) throw error;
    const again = await context.metadata.resolveAgain(admitted.object, signalOf(request.signal));
    return answer(context, admitted, again, request, false);
  };
  try {
    const planned = plan(context, admitted.object, known.head, request);
    const answered = andThen(planned, (ready) => withBody(context, known, ready, request));
    return answered instanceof Promise ? answered.catch(onError) : answered;
  } catch (error) {
    return onError(error);
  }
}

function withBody(context: ReadContext, known: KnownHead, planned: Plan, request: ReadRequest): Soon<ReadResult> {
  const { range, chunkSizeBytes } = planned;
  if (request.headOnly || planned.status === 304 || range.to === range.from)
    return resultOf(known, planned, undefined, NO_BYTES);
  const prefix = pathPrefixOf(known.head, planned.object, chunkSizeBytes);
  // A shortcut for small reads from memory: the source chain would cost more than their bytes.
  const whole = wholeFromMemory(context, planned, prefix);
  if (whole !== undefined) {
    if (range.to % chunkSizeBytes === 0) context.sequences.passed(prefix, range.to, chunkSizeBytes);
    return resultOf(known, planned, 'memory', new KnownPieces(whole));
  }
  return fromSources(context, known, planned, prefix, request);
}

async function fromSources(
  context: ReadContext,
  known: KnownHead,
  planned: Plan,
  prefix: string,
  request: ReadRequest,
): Promise<ReadResult> {
  const signal = signalOf(request.signal);
  if (request.onlyIfCached === true) await requireStored(context, planned, prefix, signal);
  const { source, body } = await firstBytes(fetchChunks(context, planned, prefix, request, signal));
  return resultOf(known, planned, source, body);
}

function resultOf(
  { head, ageMs, stale }: KnownHead,
  { object, status, range, partsCount, partChecksums: checksums, chunkSizeBytes }: Plan,
  source: Source | undefined,
  body: ReadResult['body'],
): ReadResult {
  const plain = { head, ageMs, stale, object, status, range, chunkSizeBytes, source, body };
  return { ...plain, partsCount, partChecksums: checksums };
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
function resolve(context: ReadContext, admitted: Admitted, request: ReadRequest): Soon<KnownHead> {
  const { object, ttlMs } = admitted;
  const { maxAgeMs, signal } = request;
  if (request.onlyIfCached === true) return resolveStored(context, admitted, request);
  const freshness = { ttlMs, maxAgeMs };
  if (isImmutable(object.versionId)) return resolveVersion(context.metadata, object, freshness, signalOf(signal));
  const resolved = context.metadata.resolve(object, freshness, signal);
  const { ifMatch, ifNoneMatch } = request.conditions;
  if (ifMatch === undefined && ifNoneMatch === undefined) return resolved;
  return andThen(resolved, (known) => {
    const outcome = evaluatePreconditions(request.conditions, known.head).kind;
    const mayBeOutdated =
      (ifMatch !== undefined && outcome === 'failed') || (ifNoneMatch !== undefined && outcome === 'proceed');
    if (!mayBeOutdated) return known;
    return context.metadata.revalidate(object, known, REVALIDATE_AFTER_MS, signalOf(signal));
  });
}

async function resolveStored(context: ReadContext, admitted: Admitted, request: ReadRequest): Promise<KnownHead> {
  const { object, ttlMs } = admitted;
  const freshness = {
    ttlMs: isImmutable(object.versionId) ? versionTtlMs(ttlMs) : ttlMs,
    maxAgeMs: request.maxAgeMs,
  };
  const stored = await context.metadata.stored(object, freshness, signalOf(request.signal));
  if (stored === undefined) throw notCached('nothing recent enough is known about the object');
  return stored;
}

/** Step 4. The bytes of the planned chunks, in order, each from the first source that has it, with read-ahead. */
async function* fetchChunks(
  context: ReadContext,
  { object, range, chunkSizeBytes }: Plan,
  prefix: string,
  request: ReadRequest,
  signal: AbortSignal,
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
      signal,
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

/** S3 reports the storage class of an object that cannot be read. */
function withStorageClass(cause: OrcaError, { headers }: ObjectHead): OrcaError {
  const StorageClass = headers['x-amz-storage-class'];
  return new OrcaError(cause.code, cause.message, {
    cause,
    ...(StorageClass !== undefined && { fields: { StorageClass } }),
  });
}

/** The whole body, if it lies in one chunk of the memory tier; it has two pieces if it crosses the end of a segment. */
function wholeFromMemory(
  context: ReadContext,
  { object, range, chunkSizeBytes }: Plan,
  prefix: string,
): readonly Piece[] | undefined {
  if (sliceCount(range, chunkSizeBytes) !== 1 || rangeLength(range) > SEGMENT_BYTES) return undefined;
  const slice = sliceAt(range, chunkSizeBytes, 0);
  const { path } = chunkAt(object, chunkSizeBytes, slice.index, prefix);
  if (context.flights.get(path) !== undefined) return undefined;
  const first = memoryPiece(context.memoryTier, path, slice, asView);
  if (first === undefined) return undefined;
  if (first.bytes.length < rangeLength(range) && !context.memory.isRelaxed) {
    // Two segments for one slow client are too many when memory is short.
    first.release();
    return undefined;
  }
  context.capacity.touch(path, object.bucket);
  const pieces = [first];
  for (let at = slice.from + first.bytes.length; at < slice.to;) {
    // In memory still: nothing has run since the first piece.
    const piece = memoryPiece(context.memoryTier, path, { from: at, to: slice.to }, asView);
    if (piece === undefined) throw new OrcaError('internal', `chunk ${path} left memory within a turn`);
    pieces.push(piece);
    at += piece.bytes.length;
  }
  return pieces;
}

const NO_BYTES = new KnownPieces([]);
