/**
 * A GET or HEAD, in five steps: admit, resolve, plan, fetch, stream. The first bytes are in hand before anybody writes
 * a status line; what fails after that breaks the connection, never the bytes.
 */
import { staysUnder } from '#cache/core/s3/path-traversal.ts';
import { chunkAt, chunkPathPrefix, chunkSizeFor, sliceAt, sliceCount, type ChunkTier } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import { rangeLength, type ByteRange, type ObjectHead, type ObjectVersion } from '#cache/core/object.ts';
import { evaluateConditions, rangeApplies, type Conditions } from '#cache/core/preconditions.ts';
import { resolveRange } from '#cache/core/range.ts';
import { isSparse } from '#cache/core/sparse.ts';
import { keyIsTooLong, MAX_KEY_BYTES } from '#cache/core/s3/request-target.ts';
import type { FetchContext } from '#cache/engine/fetch/cursor.ts';
import type { KnownHead, Metadata } from '#cache/engine/metadata/metadata.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { Parts } from '#cache/engine/metadata/multipart-parts.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import { startingWith, streamSlices } from '#cache/engine/fetch/read-ahead.ts';

export interface BucketRule {
  readonly name: string;
  readonly originBucket: string;
  readonly prefix: string;
  readonly metadataTtlMs: number;
  readonly immutable: boolean;
}

export interface ReadContext extends FetchContext {
  readonly metadata: Metadata;
  readonly parts: Parts;
  readonly originId: string;
  readonly buckets: ReadonlyMap<string, BucketRule>;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly readahead: () => number;
}

export interface ReadRequest {
  /** As the client says them. */
  readonly bucket: string;
  readonly key: string;
  readonly range: string | undefined;
  /** From 1; instead of a range. */
  readonly part?: number | undefined;
  readonly conditions: Conditions;
  /** HEAD: everything but the bytes. */
  readonly headOnly: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** How the client takes its body; without one it is taken to be steady. */
  readonly pace?: Pace | undefined;
}

export interface ReadResult {
  readonly head: ObjectHead;
  readonly ageMs: number;
  /** The origin could not be asked, and this is what was known. */
  readonly stale: boolean;
  readonly status: 200 | 206 | 304;
  /** What the body holds of the object. */
  readonly range: ByteRange;
  /** Of a part that was asked for by its number: how many there are, where that is known. */
  readonly partsCount: number | undefined;
  /** How the answer is made up: for `X-Orca-Explain`. */
  readonly object: ObjectVersion;
  readonly chunkSizeBytes: number;
  /** Where the first bytes came from; undefined without a body. */
  readonly source: Source | undefined;
  readonly body: AsyncGenerator<Piece, void, void>;
}

/** Origin names: after `admit` nothing else exists. */
interface Admitted {
  readonly object: ObjectName;
  readonly ttlMs: number;
}

interface Plan {
  readonly object: ObjectVersion;
  readonly status: 200 | 206 | 304;
  readonly range: ByteRange;
  readonly partsCount: number | undefined;
  readonly chunkSizeBytes: number;
}

/** An SDK that did HEAD on one replica and ranged GETs on another must not fail for an older entry there. */
const REVALIDATE_AFTER_MS = 1_000;
/** An immutable object's head is good for as long as anybody runs. */
const IMMUTABLE_TTL_MS = Number.POSITIVE_INFINITY;

export async function read(context: ReadContext, request: ReadRequest): Promise<ReadResult> {
  const admitted = admit(context, request);
  for (let attempt = 1; ; attempt++) {
    const isFirst = attempt === 1;
    const known = isFirst
      ? await resolve(context, admitted, request)
      : await context.metadata.resolveAnew(admitted.object, request.signal);
    try {
      const plan = await cutToPart(context, planRead(context, admitted, known, request), request);
      const answer = { ...known, ...plan };
      if (request.headOnly || plan.status === 304 || plan.range.to === plan.range.from)
        return { ...answer, source: undefined, body: nothing() };
      const prefix = chunkPathPrefix(plan.object, plan.chunkSizeBytes);
      const ready = fromMemoryAtOnce(context, plan, prefix);
      if (ready !== undefined) return { ...answer, source: ready.source, body: only(ready) };
      return { ...answer, ...(await stream(fetch(context, plan, prefix, request))) };
    } catch (error) {
      if (hasCode(error, 'object_archived')) throw withStorageClass(error, known.head);
      // Before the status line the client need not know: resolve again, once.
      if (!hasCode(error, 'object_changed') || !isFirst) throw error;
    }
  }
}

/** The allow-list's row; rejects with `bucket_not_found`. */
export function ruleOf({ buckets }: ReadContext, bucket: string): BucketRule {
  const rule = buckets.get(bucket);
  if (rule === undefined) throw new OrcaError('bucket_not_found', `bucket ${bucket} is not served here`);
  return rule;
}

/** Whether this bucket is served at all, and what the origin calls it. */
export function admit(context: ReadContext, request: Pick<ReadRequest, 'bucket' | 'key'>): Admitted {
  const rule = ruleOf(context, request.bucket);
  if (keyIsTooLong(request.key))
    throw new OrcaError('key_too_long', `the key is longer than ${MAX_KEY_BYTES} bytes`, {
      fields: { Size: String(Buffer.byteLength(request.key)), MaxSizeAllowed: String(MAX_KEY_BYTES) },
    });
  const key = underRule(rule, request.key);
  return {
    object: { originId: context.originId, bucket: rule.originBucket, key },
    ttlMs: rule.immutable ? IMMUTABLE_TTL_MS : rule.metadataTtlMs,
  };
}

/** The origin's name of a key, or of a list's prefix. Rejects with `bad_request` for one that no bucket holds. */
export function underRule({ prefix }: Pick<BucketRule, 'prefix'>, name: string): string {
  const full = prefix + name;
  if (!staysUnder(prefix, full)) throw new OrcaError('bad_request', 'the name leads out of its bucket');
  // Origins on a file system fail over it, again and again: the breaker would take them for unwell.
  if (name.includes('\0')) throw new OrcaError('bad_request', 'the name holds NUL');
  return full;
}

/** What the object is now; asked anew before a client is told that its version is gone. */
async function resolve(context: ReadContext, admitted: Admitted, request: ReadRequest): Promise<KnownHead> {
  const { object, ttlMs } = admitted;
  const known = await context.metadata.resolve(object, ttlMs, request.signal);
  const { ifMatch, ifNoneMatch } = request.conditions;
  const verdict = evaluateConditions(request.conditions, known.head).kind;
  const isBadNews =
    (ifMatch !== undefined && verdict === 'failed') || (ifNoneMatch !== undefined && verdict === 'proceed');
  return isBadNews ? context.metadata.revalidate(object, known, REVALIDATE_AFTER_MS, request.signal) : known;
}

/** Preconditions, range, chunk size. */
function planRead(context: ReadContext, admitted: Admitted, known: KnownHead, request: ReadRequest): Plan {
  const { head } = known;
  const { chunking } = context;
  const object = { ...admitted.object, etag: head.etag, sizeBytes: head.sizeBytes };
  const chunkSizeBytes = chunkSizeFor(head.sizeBytes, chunking.sizeBytes, chunking.tiers);
  const common = { object, chunkSizeBytes, partsCount: undefined };
  const whole = { from: 0, to: head.sizeBytes };
  const verdict = evaluateConditions(request.conditions, head);
  if (verdict.kind === 'failed')
    throw new OrcaError('precondition_failed', `${verdict.condition} does not hold`, { details: verdict.condition });
  if (verdict.kind === 'not_modified') return { ...common, status: 304, range: whole };
  const range = rangeApplies(request.conditions, head) ? request.range : undefined;
  const wanted = resolveRange(range, head.sizeBytes);
  if (wanted.kind === 'unsatisfiable')
    throw new OrcaError('range_not_satisfiable', `range ${request.range} of ${head.sizeBytes} bytes`, {
      details: String(head.sizeBytes),
    });
  if (wanted.kind === 'whole') return { ...common, status: 200, range: whole };
  return { ...common, status: 206, range: wanted.range };
}

/** S3 says what an object that can't be read is stored as. */
function withStorageClass(cause: OrcaError, { headers }: ObjectHead): OrcaError {
  const StorageClass = headers['x-amz-storage-class'];
  return new OrcaError(cause.code, cause.message, {
    cause,
    ...(StorageClass !== undefined && { fields: { StorageClass } }),
  });
}

/** Which part of the object was asked for by its number, if one was. */
async function cutToPart(context: ReadContext, plan: Plan, request: ReadRequest): Promise<Plan> {
  if (request.part === undefined || plan.status === 304) return plan;
  try {
    const { range, count } = await context.parts.of(plan.object, request.part, request.signal);
    // Of an empty object there is no range to speak of.
    const status = plan.object.sizeBytes === 0 ? 200 : 206;
    return { ...plan, status, range, partsCount: count };
  } catch (error) {
    if (hasCode(error, 'object_changed')) context.metadata.invalidate(plan.object, plan.object.etag);
    throw error;
  }
}

/**
 * The whole body, where it stands in one segment of the memory tier: most small reads, which would else pay more for
 * the ladder than for their bytes.
 */
function fromMemoryAtOnce(
  context: ReadContext,
  { object, range, chunkSizeBytes }: Plan,
  prefix: string,
): Piece | undefined {
  if (sliceCount(range, chunkSizeBytes) !== 1 || rangeLength(range) > SEGMENT_BYTES) return undefined;
  const slice = sliceAt(range, chunkSizeBytes, 0);
  const { path } = chunkAt(object, chunkSizeBytes, slice.index, prefix);
  if (context.flights.get(path) !== undefined) return undefined;
  const piece = context.memoryTier.get(path)?.piece(slice.from, slice.to, 'memory');
  if (piece === undefined || piece.bytes.length === rangeLength(range)) return piece;
  piece.release();
  return undefined;
}

/** The bytes of the plan's chunks, in order, reading ahead from the first request on. */
async function* fetch(
  context: ReadContext,
  plan: Plan,
  prefix: string,
  request: ReadRequest,
): AsyncGenerator<Piece, void, void> {
  const { object, range, chunkSizeBytes } = plan;
  try {
    yield* streamSlices(context, {
      count: sliceCount(range, chunkSizeBytes),
      chunkSizeBytes,
      slice: (number) => {
        const slice = sliceAt(range, chunkSizeBytes, number);
        const chunk = chunkAt(object, chunkSizeBytes, slice.index, prefix);
        return { chunk, range: slice, sparse: isSparse(chunk, slice, context.chunking.sizeBytes) };
      },
      readahead: context.readahead(),
      signal: request.signal,
      requestId: request.requestId,
      pace: request.pace,
    });
  } catch (error) {
    if (hasCode(error, 'object_changed')) context.metadata.invalidate(object, object.etag);
    throw error;
  }
}

/** Waits for the first bytes, so that their failure can still become a status line. */
async function stream(pieces: AsyncGenerator<Piece, void, void>): Promise<Pick<ReadResult, 'source' | 'body'>> {
  const first = await pieces.next();
  if (first.done === true) throw new OrcaError('internal', 'a body ended before its first byte');
  return { source: first.value.source, body: startingWith(first.value, pieces) };
}

async function* only(piece: Piece): AsyncGenerator<Piece, void, void> {
  yield piece;
}

async function* nothing(): AsyncGenerator<Piece, void, void> {}
