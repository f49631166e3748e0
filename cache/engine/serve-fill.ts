/**
 * A peer's request for a chunk: streamed out of memory or a fill, or answered with where the chunk is. A request joins
 * only origin fills, never this replica's own requests to others, so two replicas can't wait for each other.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { FillWhy } from '#cache/core/peer/fill-request.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { isSparseIn } from '#cache/core/sparse.ts';
import type { FetchContext } from '#cache/engine/fetch/cursor.ts';
import { fetchLocally } from '#cache/engine/fetch/chunk.ts';
import type { Flight, FlightReader } from '#cache/engine/fill/flight.ts';
import { handOutOf } from '#cache/engine/streams/view-or-copy.ts';
import type { Demand } from '#cache/engine/memory/chunk-memory.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import type { FillSource, PeerAddress } from './ports.ts';
import { startingWith } from '#cache/engine/fetch/read-ahead.ts';
import type { SparseReader } from '#cache/engine/sparse/reader.ts';

export interface FillCall {
  readonly chunk: Chunk;
  readonly range: ByteRange;
  readonly rank: 1 | 2;
  readonly demand: Demand;
  readonly why: FillWhy;
  /** As the asker sees it: it knows the whole of its read, and its configuration. */
  readonly sparse?: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** How the asker takes the bytes; without one it is taken to be steady. */
  readonly pace?: Pace | undefined;
}

export type FillReply =
  | { readonly kind: 'bytes'; readonly source: FillSource; readonly body: AsyncGenerator<Piece, void, void> }
  | { readonly kind: 'stored' }
  | { readonly kind: 'none' }
  | { readonly kind: 'not_coordinator'; readonly owner: PeerAddress; readonly epoch: string };

/** Resolves once the answer is known and, for `bytes`, the first ones are in hand. */
export async function serveFill(context: FetchContext, call: FillCall): Promise<FillReply> {
  const { chunk } = call;
  const askedAt = context.sparseTable.moment;
  const sparse = call.sparse === true && isSparseIn(chunk, call.range);
  // What a fill has not come to yet may be here from before it.
  if (sparse && context.flights.get(chunk.path) !== undefined && context.sparseTable.covers(chunk.path, call.range)) {
    const blocks = await serveSparse(context, call, askedAt);
    if (blocks !== undefined) return blocks;
  }
  // Whatever the rank: what is in flight or in memory here need not be asked of the origin again.
  const running = context.flights.get(chunk.path);
  if (running !== undefined) return serveFlight(context, running, call);
  const bytes = context.memoryTier.get(chunk.path);
  if (bytes !== undefined) return { kind: 'bytes', source: 'memory', body: fromMemoryTier(context, call) };
  if (call.why === 'join') return { kind: 'none' };
  const { owners, self, epoch } = context.peers.current();
  const [first = self, second] = rankPeers(chunk.path, owners, 2);
  const isMine = first === self || (second === self && call.rank === 2);
  if (!isMine) return { kind: 'not_coordinator', owner: first, epoch };
  // Who can't read the cachestore, or found bad bytes there, gets ours: read and verified here, repaired if need be.
  if (call.why === 'relay' || call.why === 'bad') return relay(context, call);
  if (call.why === 'absent') context.catalog.forget(chunk.path);
  const served = sparse ? await serveSparse(context, call, askedAt) : undefined;
  if (served !== undefined) return served;
  // The flight itself looks in the cachestore first, and fills only on its own 404.
  const flight = context.flights.enter({ chunk, demand: call.demand, knownAbsent: false, proven: sparse });
  return flight === undefined ? { kind: 'stored' } : serveFlight(context, flight, call);
}

function relay(context: FetchContext, call: FillCall): Promise<FillReply> {
  // The asker may have a part of the first block from elsewhere: what it can't check is checked here.
  return begun(fetchLocally({ ...context, verifyRanges: true }, call));
}

/** The answer with the first piece in hand, which tells where the bytes come from. */
async function begun(pieces: AsyncGenerator<Piece, void, void>): Promise<FillReply> {
  const first = await pieces.next();
  if (first.done === true) throw new OrcaError('internal', 'a range ended before its first byte');
  const { source } = first.value;
  const wasThere = source === 'memory' || source === 'store';
  return { kind: 'bytes', source: wasThere ? source : 'flight', body: startingWith(first.value, pieces) };
}

/** Undefined when the chunk is to be filled after all. */
async function serveSparse(context: FetchContext, call: FillCall, askedAt: number): Promise<FillReply | undefined> {
  if (context.catalog.has(call.chunk.path)) return { kind: 'stored' };
  const reader = context.sparse.enter({ ...call, askedAt, knownAbsent: false });
  if (reader === undefined) return undefined;
  try {
    return await serveReader(reader);
  } catch (error) {
    // Gone from memory before the first byte was out.
    if (hasCode(error, 'chunk_missing')) return undefined;
    throw error;
  }
}

function serveFlight(context: FetchContext, flight: Flight, call: FillCall): Promise<FillReply> {
  return serveReader(flight.join(call.range, call.signal, handOutOf(context.memory, call.pace)));
}

async function serveReader(reader: FlightReader | SparseReader): Promise<FillReply> {
  let streaming = false;
  try {
    if ((await reader.opened()) === 'stored') return { kind: 'stored' };
    streaming = true;
    return await begun(readAlong(reader));
  } finally {
    if (!streaming) reader.close();
  }
}

async function* readAlong(reader: FlightReader | SparseReader): AsyncGenerator<Piece, void, void> {
  try {
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) yield piece;
  } finally {
    reader.close();
  }
}

async function* fromMemoryTier(context: FetchContext, call: FillCall): AsyncGenerator<Piece, void, void> {
  const handOut = handOutOf(context.memory, call.pace);
  for (let at = call.range.from; at < call.range.to;) {
    const bytes = context.memoryTier.get(call.chunk.path);
    // Pushed out while the asker read: its connection breaks, and it goes on from the cachestore at its offset.
    if (bytes === undefined) throw new OrcaError('chunk_missing', 'the chunk has left memory');
    const piece = handOut(bytes, at, call.range.to, 'memory');
    at += piece.bytes.length;
    yield piece;
  }
}
