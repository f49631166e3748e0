/** GET and HEAD of an object: the engine's result as an S3 response, its bytes written straight to Node's response. */
import type { Socket } from 'node:net';
import { OrcaError } from '#cache/core/errors.ts';
import { rangeLength } from '#cache/core/object.ts';
import { responseOverrides } from '#cache/core/s3/response-overrides.ts';
import { versionIdOf } from '#cache/core/s3/version-id.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { ReadRequest, ReadResult } from '#cache/engine/read.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { ownSocket, sendSoon, type StallOutcome } from '#cache/http/listener/send-body.ts';
import type { UnackedBytes } from '#cache/http/listener/send-queues.ts';
import type { SignalSource } from '#shared/abortable.ts';
import { andThen, type Soon } from '#shared/soon.ts';
import type { CacheStatus, EdgeCall, EdgeResult } from './call.ts';
import { objectHeaders } from './object-headers.ts';

/** S3's limit. */
const MAX_PARTS = 10_000;

export interface ObjectOptions {
  readonly signal: SignalSource;
  /** Adds X-Orca-Explain, which describes where the bytes come from. */
  readonly explain: boolean;
  readonly clock: Clock;
  readonly unackedBytes: UnackedBytes;
  readonly stallLimitMs: () => number;
  readonly onServed: (source: Source, lengthBytes: number) => void;
  readonly onStall: (outcome: StallOutcome) => void;
  firstByte(elapsedMs: number): void;
}

/** Throws or rejects with the error that `respondError` answers with. */
export function serveObject(engine: Engine, call: EdgeCall, options: ObjectOptions): Soon<EdgeResult> {
  return andThen(ownSocket(call.response, options.signal), (socket) => {
    const pace = new ReaderPace();
    const withChecksum = wantsChecksum(call.request.headers['x-amz-checksum-mode']?.toString());
    const overrides = responseOverrides(call.target.query, call.caller.signed);
    const request = readRequest(call, options.signal, call.request.method === 'HEAD', pace);
    return andThen(engine.readSoon(request), (result) => {
      const cache = cacheStatus(result);
      const elapsedMs = call.elapsedMs();
      call.trace?.read(result, elapsedMs);
      const headers = objectHeaders(result, { requestId: call.requestId, cache, overrides, withChecksum });
      if (result.partsCount !== undefined) headers.push('x-amz-mp-parts-count', String(result.partsCount));
      if (options.explain) headers.push('X-Orca-Explain', engine.explain(result));
      call.response.writeHead(result.status, headers);
      options.firstByte(elapsedMs);
      const answer = { status: result.status, cache };
      return andThen(sendResult(engine, call, socket, result, pace, options), () => answer);
    });
  });
}

function sendResult(
  { memory }: Engine,
  { response }: EdgeCall,
  socket: Socket,
  { source, body, range }: ReadResult,
  pace: ReaderPace,
  { clock, stallLimitMs, unackedBytes, onServed, onStall }: ObjectOptions,
): Soon<void> {
  if (source === undefined) {
    response.end();
    return;
  }
  const options = { clock, pace, stallLimitMs, unackedBytes, memory, onServed, onStall };
  return sendSoon(response, socket, body, rangeLength(range), options);
}

/** What is known of the object; rejects as a HEAD of it would. */
export function headObject(engine: Pick<Engine, 'read'>, call: EdgeCall, signal: AbortSignal): Promise<ReadResult> {
  return engine.read({ ...readRequest(call, signal, true), range: undefined, part: undefined, conditions: {} });
}

/** The range and the checksums of one part of exactly that version. */
export function partObject(
  engine: Pick<Engine, 'read'>,
  call: EdgeCall,
  part: number,
  etag: string,
  signal: AbortSignal,
): Promise<ReadResult> {
  const conditions = { ifMatch: `"${etag}"` };
  return engine.read({ ...readRequest(call, signal, true), range: undefined, part, conditions });
}

function readRequest(
  { request, target, requestId, cacheControl }: EdgeCall,
  signal: SignalSource,
  headOnly: boolean,
  pace?: ReaderPace,
): ReadRequest {
  const { headers } = request;
  const part = partNumberOf(target.query.get('partNumber'));
  if (part !== undefined && headers.range !== undefined)
    throw new OrcaError('bad_request', 'Cannot specify both Range header and partNumber query parameter');
  return {
    bucket: target.bucket,
    key: target.key,
    versionId: versionIdOf(target.query),
    range: headers.range,
    part,
    conditions: {
      ifMatch: headers['if-match'],
      ifNoneMatch: headers['if-none-match'],
      ifModifiedSince: headers['if-modified-since'],
      ifUnmodifiedSince: headers['if-unmodified-since'],
      ifRange: single(headers['if-range']),
    },
    maxAgeMs: cacheControl.maxAgeMs,
    onlyIfCached: cacheControl.onlyIfCached,
    headOnly,
    requestId,
    signal,
    pace,
  };
}

function wantsChecksum(mode: string | undefined): boolean {
  if (mode === undefined || mode === '') return false;
  if (mode.toUpperCase() === 'ENABLED') return true;
  throw new OrcaError('bad_request', 'Value for x-amz-checksum-mode header is invalid.');
}

function partNumberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const part = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (part >= 1 && part <= MAX_PARTS) return part;
  throw new OrcaError('invalid_argument', 'Part number must be an integer between 1 and 10000, inclusive', {
    fields: { ArgumentName: 'partNumber', ArgumentValue: text },
  });
}

/** Bytes that were cached before this request are a hit; bytes that the origin had to send for it are a miss. */
function cacheStatus({ source, stale }: ReadResult): CacheStatus {
  if (stale) return 'STALE';
  if (source === undefined) return 'NONE';
  return source === 'fill' || source === 'peer_fill' ? 'MISS' : 'HIT';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
