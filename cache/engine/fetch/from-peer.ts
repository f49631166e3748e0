/** A peer's rung: the coordinator or the runner-up is asked to fill, and streams or says where the chunk is. */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { FillWhy } from '#cache/core/peer/fill-request.ts';
import {
  drain,
  isSparseStill,
  mayWait,
  OVERLOADED_PAUSE_MS,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type RungOutcome,
} from './cursor.ts';
import type { FillAnswer, PeerAddress } from '#cache/engine/ports.ts';
import { fromStore } from './from-store.ts';

/** The others' stream has left this reader behind, and the chunk is in the cachestore by now. */
interface Committed {
  readonly kind: 'committed';
}

export async function* fromPeer(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
  rank: 1 | 2,
): Pieces<RungOutcome> {
  const rung = rank === 1 ? 'coordinator' : 'runner_up';
  let asked = peer;
  // "Stored", then a failure of our own, then once more with that reason, then relayed: never a loop. And one
  // redirection to the owner that the peer names.
  for (let round = 0; round < 4; round++) {
    const why = whyAgain(cursor);
    const answer = yield* askPeer(context, read, cursor, asked, rank, why);
    if (answer instanceof OrcaError) {
      context.observer.fallThrough(rung, answer.details ?? answer.code);
      return 'failed';
    }
    switch (answer.kind) {
      case 'bytes':
        return 'done';
      case 'stored': {
        // It sees the chunk and we do not: whatever the reason, it can send it.
        if (why !== 'first') cursor.storeFailed = true;
        else if ((yield* fromStore(context, read, cursor)) === 'done') return 'done';
        break;
      }
      case 'committed':
        if ((yield* fromStore(context, read, cursor)) === 'done') return 'done';
        break;
      case 'none':
        return 'missing';
      case 'not_coordinator': {
        context.observer.fallThrough(rung, 'not_coordinator');
        const { owner } = answer;
        if (owner === undefined || owner === context.peers.current().self || asked !== peer) return 'refused';
        asked = owner;
        break;
      }
    }
  }
  return 'missing';
}

/** A replica that drains is asked only for what it has; it fills nothing any more. */
export async function* fromLeaving(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
): Pieces<RungOutcome> {
  const answer = yield* askPeer(context, read, cursor, peer, 1, 'join');
  if (answer instanceof OrcaError) {
    context.observer.fallThrough('leaving', answer.details ?? answer.code);
    return 'failed';
  }
  if (answer.kind === 'committed') return yield* fromStore(context, read, cursor);
  return answer.kind === 'bytes' ? 'done' : 'missing';
}

function whyAgain(cursor: Cursor): FillWhy {
  if (cursor.bad) return 'bad';
  if (cursor.storeFailed) return 'relay';
  return cursor.absent ? 'absent' : 'first';
}

/** One peer's answer, its bytes passed on; an error that the next rung can mend is returned, any other thrown. */
async function* askPeer(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
  rank: 1 | 2,
  why: FillWhy,
): Pieces<FillAnswer | Committed | OrcaError> {
  const sinceMs = context.clock.now();
  let isBehind = false;
  for (;;) {
    try {
      const ask = { chunk: read.chunk, peer, rank, why, sparse: isSparseStill(read, cursor) };
      const reader = await context.inbound.join(ask, { from: cursor.at, to: read.range.to }, read, isBehind);
      if (reader === 'committed') return { kind: reader };
      // Who takes nothing keeps nothing: its bytes are there to be asked for again.
      const unsubscribe = read.pace?.onStall(() => reader.pass());
      try {
        yield* drain(reader, cursor);
      } finally {
        unsubscribe?.();
      }
      if (cursor.at >= read.range.to) return { kind: 'bytes' };
      if (reader.answer !== undefined) return reader.answer;
      isBehind = true;
    } catch (error) {
      if (hasCode(error, 'peer_unavailable')) return error;
      if (!mayWait(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(Math.min(error.retryAfterMs ?? OVERLOADED_PAUSE_MS, OVERLOADED_PAUSE_MS), read.signal);
    }
  }
}
