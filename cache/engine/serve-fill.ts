/**
 * Serves a peer's request for a chunk: streams the bytes from memory or from a fill, or reports where the chunk is. A
 * request joins only origin fills, never this replica's own requests to others, so two replicas never wait for each
 * other.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { FillReason } from '#cache/core/peer/fill-request.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { isSparse } from '#cache/core/sparse.ts';
import { drain, type Cursor, type FetchContext } from '#cache/engine/fetch/context.ts';
import { fromMemory } from '#cache/engine/fetch/from-memory.ts';
import { fetchLocally } from '#cache/engine/fetch/from-origin.ts';
import { startingWith } from '#cache/engine/fetch/read-ahead.ts';
import type { Flight, FlightReader } from '#cache/engine/fill/flight.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import type { Demand, FillSource, PeerAddress } from '#cache/engine/ports.ts';
import type { SparseReader } from '#cache/engine/sparse/reader.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import { viewOrCopy } from '#cache/engine/streams/view-or-copy.ts';

export interface FillCall {
  readonly chunk: Chunk;
  readonly range: ByteRange;
  readonly rank: 1 | 2;
  readonly demand: Demand;
  readonly reason: FillReason;
  /** Decided by the asking replica, which knows the whole read and its configuration. */
  readonly sparse?: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** How fast the asking replica takes the bytes; without one it counts as steady. */
  readonly pace?: Pace | undefined;
}

export type FillReply =
  | { readonly kind: 'bytes'; readonly source: FillSource; readonly body: AsyncGenerator<Piece, void, void> }
  | { readonly kind: 'stored' }
  | { readonly kind: 'none' }
  | { readonly kind: 'not_coordinator'; readonly owner: PeerAddress; readonly epoch: string };

/** Resolves when the answer is known and, for `bytes`, the first bytes are available. */
export async function serveFill(context: FetchContext, call: FillCall): Promise<FillReply> {
  const { chunk } = call;
  if (call.reason === 'commit') return { kind: context.catalog.has(chunk.path) ? 'stored' : 'none' };
  const sparse = call.sparse === true && isSparse(chunk, call.range);
  // Blocks that the running fill has not reached yet may be in memory from before it.
  if (sparse && context.flights.get(chunk.path) !== undefined && context.blockTable.covers(chunk.path, call.range)) {
    const blocks = await serveSparse(context, call);
    if (blocks !== undefined) return blocks;
  }
  // Whatever the rank: a chunk in flight or in memory here need not be fetched from the origin again.
  const running = context.flights.get(chunk.path);
  if (running !== undefined) return serveFlight(context, running, call);
  if (context.memoryTier.get(chunk.path) !== undefined)
    return { kind: 'bytes', source: 'memory', body: fromMemoryTier(context, call) };
  if (call.reason === 'join') return { kind: 'none' };
  const { owners, self, epoch } = context.peers.current();
  const [first = self, second] = rankPeers(chunk.path, owners, 2);
  const isOurs = first === self || (second === self && call.rank === 2);
  if (!isOurs) return { kind: 'not_coordinator', owner: first, epoch };
  // The asking replica cannot use the cachestore's copy: it gets ours, read and verified here, repaired if need be.
  if (call.reason === 'store_unavailable' || call.reason === 'corrupt') return serveVerified(context, call);
  if (call.reason === 'not_stored') context.catalog.forget(chunk.path);
  const blocks = sparse ? await serveSparse(context, call) : undefined;
  if (blocks !== undefined) return blocks;
  // The flight itself looks in the cachestore first, and fills only after a 404 of its own.
  const flight = context.flights.enter({ chunk, demand: call.demand, knownAbsent: false, proven: sparse });
  return flight === undefined ? { kind: 'stored' } : serveFlight(context, flight, call);
}

/**
 * Verifies every block here: the asking replica may have part of the first block already, and cannot verify that one.
 */
function serveVerified(context: FetchContext, call: FillCall): Promise<FillReply> {
  return withFirstPiece(fetchLocally({ ...context, verifyRanges: true }, call));
}

/** Waits for the first piece, which shows where the bytes come from. */
async function withFirstPiece(pieces: AsyncGenerator<Piece, void, void>): Promise<FillReply> {
  const first = await pieces.next();
  if (first.done === true) throw new OrcaError('internal', 'a range ended before its first byte');
  const { source } = first.value;
  const isStored = source === 'memory' || source === 'store';
  return { kind: 'bytes', source: isStored ? source : 'flight', body: startingWith(first.value, pieces) };
}

/** Undefined when the chunk is to be filled after all. */
async function serveSparse(context: FetchContext, call: FillCall): Promise<FillReply | undefined> {
  if (context.catalog.has(call.chunk.path)) return { kind: 'stored' };
  const reader = context.sparse.enter({ ...call, knownAbsent: false });
  if (reader === undefined) return undefined;
  try {
    return await serveReader(reader, call);
  } catch (error) {
    // Evicted from memory before the first byte was sent.
    if (hasCode(error, 'chunk_missing')) return undefined;
    throw error;
  }
}

function serveFlight(context: FetchContext, flight: Flight, call: FillCall): Promise<FillReply> {
  flight.learnVersion(call.chunk.object.versionId);
  flight.share();
  return serveReader(flight.join(call.range, call.signal, viewOrCopy(context.memory, call.pace)), call);
}

async function serveReader(reader: FlightReader | SparseReader, call: FillCall): Promise<FillReply> {
  let isStreaming = false;
  try {
    if ((await reader.opened()) === 'stored') return { kind: 'stored' };
    isStreaming = true;
    return await withFirstPiece(drain(reader, cursorOf(call)));
  } finally {
    if (!isStreaming) reader.close();
  }
}

async function* fromMemoryTier(context: FetchContext, call: FillCall): AsyncGenerator<Piece, void, void> {
  const outcome = yield* fromMemory(context, call, cursorOf(call));
  // The connection breaks, and the asking replica continues from the cachestore at its offset.
  if (outcome !== 'done') throw new OrcaError('chunk_missing', 'the chunk was evicted from memory');
}

/** For one source only: no other source follows that could use what this cursor records. */
function cursorOf({ range }: FillCall): Cursor {
  return { at: range.from, absent: false, corrupt: false, storeFailedMs: undefined, wasReadLately: false };
}
