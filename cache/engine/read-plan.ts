/** Which bytes of which chunks a read is about: preconditions, range, chunk size. */
import { chunkSizeFor, type ChunkTier } from '#cache/core/chunk.ts';
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { ByteRange, ObjectHead, ObjectVersion } from '#cache/core/object.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import { evaluatePreconditions, rangeApplies, type Preconditions } from '#cache/core/preconditions.ts';
import { resolveRange } from '#cache/core/range.ts';
import { bodyChecksums, partChecksums } from '#cache/core/s3/checksums.ts';
import type { Metadata } from '#cache/engine/metadata/metadata.ts';
import type { MultipartParts } from '#cache/engine/metadata/multipart-parts.ts';
import { signalOf, type SignalSource } from '#shared/abortable.ts';
import type { Soon } from '#shared/soon.ts';

export interface PlanContext {
  readonly metadata: Pick<Metadata, 'invalidate'>;
  readonly parts: MultipartParts;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
}

/** What a read says about its bytes. */
export interface PlanRequest {
  readonly range: string | undefined;
  /** From 1; instead of a range. */
  readonly part?: number | undefined;
  readonly conditions: Preconditions;
  /** Aborts when the client leaves. */
  readonly signal: SignalSource;
}

export interface Plan {
  readonly object: ObjectVersion;
  readonly status: 200 | 206 | 304;
  /** The bytes of the object that the body holds. */
  readonly range: ByteRange;
  /** How many parts the object has; only for a request by part number, where the count is known. */
  readonly partsCount: number | undefined;
  /** The checksum headers of the body of a request by part number, if they are known. */
  readonly partChecksums: Readonly<Record<string, string>> | undefined;
  readonly chunkSizeBytes: number;
}

/** After these errors of the origin the known head cannot be true any more. */
export const OUTDATED: readonly ErrorCode[] = ['object_changed', 'not_found', 'version_not_found'];

/** Throws or rejects with the error that the client gets. */
export function plan(context: PlanContext, name: ObjectName, head: ObjectHead, request: PlanRequest): Soon<Plan> {
  const { chunking } = context;
  const object = { ...name, etag: head.etag, sizeBytes: head.sizeBytes };
  const chunkSizeBytes = chunkSizeFor(head.sizeBytes, chunking.sizeBytes, chunking.tiers);
  const common = { object, chunkSizeBytes, partsCount: undefined, partChecksums: undefined };
  const whole = { from: 0, to: head.sizeBytes };
  const outcome = evaluatePreconditions(request.conditions, head);
  if (outcome.kind === 'failed')
    throw new OrcaError('precondition_failed', `${outcome.condition} does not hold`, { details: outcome.condition });
  if (outcome.kind === 'not_modified') return { ...common, status: 304, range: whole };
  if (request.part !== undefined)
    return partOf(context, object, head, request.part, signalOf(request.signal)).then((part) => ({
      ...common,
      ...part,
    }));
  const range = rangeApplies(request.conditions, head) ? request.range : undefined;
  const wanted = resolveRange(range, head.sizeBytes);
  if (wanted.kind === 'unsatisfiable')
    throw new OrcaError('range_not_satisfiable', `range ${request.range} of ${head.sizeBytes} bytes`, {
      details: String(head.sizeBytes),
    });
  if (wanted.kind === 'whole') return { ...common, status: 200, range: whole };
  return { ...common, status: 206, range: wanted.range };
}

/** The byte range of one part of a multipart object. */
async function partOf(
  { parts, metadata }: PlanContext,
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
