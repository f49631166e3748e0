/**
 * The source chain of one chunk: memory → cachestore → a replica that is leaving → coordinator → runner-up → origin. It
 * only moves forward: where a source breaks off after some bytes, the next one continues at that offset.
 */
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { tracedGenerator } from '#shared/trace.ts';
import {
  mayRetryOverload,
  startCursor,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
} from './context.ts';
import { fromFlightOrMemory, fromOrigin } from './from-origin.ts';
import { fromCoordinator, fromLeavingReplica, fromRunnerUp } from './from-peer.ts';
import { fromStore } from './from-store.ts';

/** The bytes of `read.range`, in order. The caller releases each piece. */
export function fetchChunk(context: FetchContext, read: ChunkRead): Pieces<void> {
  const { chunk, range } = read;
  const attributes = () => ({ 'orca.chunk': chunk.path, 'orca.range': `${range.from}-${range.to - 1}` });
  return tracedGenerator('chunk', attributes, fromSources(context, read));
}

async function* fromSources(context: FetchContext, read: ChunkRead): Pieces<void> {
  const { path } = read.chunk;
  const cursor = startCursor(context, read);
  try {
    if ((yield* fromFlightOrMemory(context, read, cursor)) === 'done') return;
  } catch (error) {
    // A fill that failed with overload does not end a response that has started: the other sources are more patient.
    if (!mayRetryOverload(error, read, 0)) throw error;
  }
  if (context.catalog.has(path) && (yield* fromStore(context, read, cursor)) === 'done') return;
  const { owners, terminating, self } = context.peers.current();
  const [leaving] = rankPeers(path, [...owners, ...terminating], 1);
  if (leaving !== undefined && leaving !== self && terminating.includes(leaving)) {
    if ((yield* fromLeavingReplica(context, read, cursor, leaving)) === 'done') return;
  }
  const [coordinator = self, runnerUp] = rankPeers(path, owners, 2);
  if (coordinator !== self) {
    // A hot chunk is read from the cachestore into this replica's memory, once, and not from the other one's each time.
    if (await mayLoad(context, read, cursor, coordinator)) {
      if ((yield* fromStore(context, read, cursor)) === 'done') return;
    }
    const outcome = yield* fromCoordinator(context, read, cursor, coordinator);
    if (outcome === 'done') return;
    // Where views differ, no other replica's view is better than ours: this replica fills, and asks no third.
    if (outcome !== 'refused' && runnerUp !== undefined && runnerUp !== self) {
      if ((yield* fromRunnerUp(context, read, cursor, runnerUp)) === 'done') return;
    }
  }
  yield* fromOrigin(context, read, cursor);
}

/** Read whole, and not for the first time, with room in memory; committed, as its coordinator knows; no stream to join. */
async function mayLoad(context: FetchContext, read: ChunkRead, cursor: Cursor, peer: PeerAddress): Promise<boolean> {
  const { heldByPeers, storeLoads, peerStreams, commits } = context;
  if (
    !heldByPeers.has(read.chunk.path) ||
    cursor.absent ||
    cursor.corrupt ||
    cursor.storeFailedMs !== undefined ||
    cursor.at > 0
  )
    return false;
  if (!storeLoads.accepts(read) || peerStreams.isOpen({ chunk: read.chunk, peer, rank: 1, reason: 'miss' }))
    return false;
  return commits.isStored(read.chunk, { peer, rank: 1 }, read.signal);
}
