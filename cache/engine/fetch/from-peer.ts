/**
 * Sources: other replicas. The chunk's coordinator, or the runner-up when the coordinator fails, fills it, and streams
 * the bytes or reports where the chunk is. A replica that leaves the cluster sends only what it has already.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { FillReason } from '#cache/core/peer/fill-request.ts';
import type { FillAnswer, PeerAddress } from '#cache/engine/ports.ts';
import {
  drainUntilStall,
  isStillSparse,
  mayRetryOverload,
  OVERLOADED_PAUSE_MS,
  remaining,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type SourceOutcome,
} from './context.ts';
import { fromStore } from './from-store.ts';

/**
 * Requests to one owner: with reason `miss` and with `not_stored` it may report the chunk as stored, which this replica
 * cannot confirm; with `store_unavailable` it sends the bytes itself. One more for a redirect.
 */
const MAX_ROUNDS = 4;

/** The shared stream has left this reader behind, and the cachestore has the chunk by now. */
interface Committed {
  readonly kind: 'committed';
}

interface PeerAsk {
  readonly peer: PeerAddress;
  readonly rank: 1 | 2;
  readonly reason: FillReason;
}

export function fromCoordinator(context: FetchContext, read: ChunkRead, cursor: Cursor, peer: PeerAddress) {
  return fromOwner(context, read, cursor, { peer, rank: 1, source: 'coordinator' });
}

export function fromRunnerUp(context: FetchContext, read: ChunkRead, cursor: Cursor, peer: PeerAddress) {
  return fromOwner(context, read, cursor, { peer, rank: 2, source: 'runner_up' });
}

/** A terminating replica sends only what it has or is fetching already; it must not start a fill. */
export async function* fromLeavingReplica(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
): Pieces<SourceOutcome> {
  const answer = yield* askPeer(context, read, cursor, { peer, rank: 1, reason: 'join' });
  if (answer instanceof OrcaError) {
    context.observer.fallThrough('leaving_replica', answer.details ?? answer.code);
    return 'failed';
  }
  if (answer.kind === 'committed') return yield* fromStore(context, read, cursor);
  return answer.kind === 'bytes' ? 'done' : 'missing';
}

async function* fromOwner(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  { peer, rank, source }: Omit<PeerAsk, 'reason'> & { readonly source: 'coordinator' | 'runner_up' },
): Pieces<SourceOutcome> {
  let asked = peer;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const reason = fillReason(cursor);
    const answer = yield* askPeer(context, read, cursor, { peer: asked, rank, reason });
    if (answer instanceof OrcaError) {
      context.observer.fallThrough(source, answer.details ?? answer.code);
      return 'failed';
    }
    switch (answer.kind) {
      case 'bytes':
        return 'done';
      case 'stored': {
        // The peer can read the chunk and this replica cannot, whatever the reason: the peer can send it.
        if (reason !== 'miss') cursor.storeFailedMs = context.clock.now();
        else if ((yield* fromStore(context, read, cursor)) === 'done') return 'done';
        break;
      }
      case 'committed':
        if ((yield* fromStore(context, read, cursor)) === 'done') return 'done';
        break;
      case 'none':
        return 'missing';
      case 'not_coordinator': {
        context.observer.fallThrough(source, 'not_coordinator');
        const { owner } = answer;
        // At most one redirect, to the owner that the peer names.
        if (owner === undefined || owner === context.peers.current().self || asked !== peer) return 'refused';
        asked = owner;
        break;
      }
    }
  }
  return 'missing';
}

function fillReason(cursor: Cursor): FillReason {
  if (cursor.corrupt) return 'corrupt';
  if (cursor.storeFailedMs !== undefined) return 'store_unavailable';
  return cursor.absent ? 'not_stored' : 'miss';
}

/** Yields the bytes of one peer's answer. Returns an error that the next source can make up for; throws any other. */
async function* askPeer(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  ask: PeerAsk,
): Pieces<FillAnswer | Committed | OrcaError> {
  const sinceMs = context.clock.now();
  let isBehind = false;
  for (;;) {
    try {
      const streamAsk = { chunk: read.chunk, ...ask, sparse: isStillSparse(read, cursor) };
      const reader = await context.peerStreams.join(streamAsk, remaining(read, cursor), read, isBehind);
      if (reader === 'committed') return { kind: reader };
      yield* drainUntilStall(reader, read, cursor);
      if (reader.source === 'peer') context.heldByPeers.touch(read.chunk.path);
      if (cursor.at >= read.range.to) return { kind: 'bytes' };
      if (reader.answer !== undefined) return reader.answer;
      isBehind = true;
    } catch (error) {
      if (hasCode(error, 'peer_unavailable')) return error;
      if (!mayRetryOverload(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(Math.min(error.retryAfterMs ?? OVERLOADED_PAUSE_MS, OVERLOADED_PAUSE_MS), read.signal);
    }
  }
}
