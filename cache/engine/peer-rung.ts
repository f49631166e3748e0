/** A peer's rung: the coordinator or the runner-up is asked to fill, and streams or says where the chunk is. */
import { hasCode, OrcaError } from '../core/errors.ts';
import {
  drain,
  mayWait,
  OVERLOADED_PAUSE_MS,
  openWindow,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type RungOutcome,
} from './chunk-read.ts';
import type { FillAnswer, PeerAddress } from './ports.ts';
import { fromStore } from './store-rung.ts';

/** To the first byte of a coordinator that says it is alive; then without a byte while we want some. */
const DEADLINE_MS = 20_000;
const STALL_MS = 60_000;

export async function* fromPeer(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
  rank: 1 | 2,
): Pieces<RungOutcome> {
  const rung = rank === 1 ? 'coordinator' : 'runner_up';
  let asked = peer;
  // "Stored", then a 404 of our own, then once more: never a loop. And one redirection to the owner the peer names.
  for (let round = 0; round < 3; round++) {
    const answer = yield* askPeer(context, read, cursor, asked, rank);
    if (answer instanceof OrcaError) {
      context.observer.fallThrough(rung, answer.code);
      return 'failed';
    }
    switch (answer.kind) {
      case 'bytes':
        return 'done';
      case 'stored': {
        if (cursor.absent && round > 0) return 'missing';
        context.catalog.add(read.chunk.path);
        const outcome = yield* fromStore(context, read, cursor);
        if (outcome !== 'missing') return outcome;
        break;
      }
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

/** One peer's answer, its bytes passed on; an error that the next rung can mend is returned, any other thrown. */
async function* askPeer(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  peer: PeerAddress,
  rank: 1 | 2,
): Pieces<FillAnswer | OrcaError> {
  const sinceMs = context.clock.now();
  for (;;) {
    const range = { from: cursor.at, to: read.range.to };
    const answer = Promise.withResolvers<FillAnswer>();
    answer.promise.catch(() => {});
    const window = await openWindow(context, read, range, 'peer', async (window, signal) => {
      const request = {
        chunk: read.chunk,
        range,
        rank,
        epoch: context.peers.current().epoch,
        demand: read.demand === 'started' ? read.demand : 'new',
        deadlineMs: DEADLINE_MS,
        absent: cursor.absent,
      } as const;
      const kind = await context.peerClient.fill(peer, request, window, {
        signal,
        requestId: read.requestId,
        firstByteTimeoutMs: DEADLINE_MS,
        stallTimeoutMs: STALL_MS,
      });
      answer.resolve(kind);
      if (kind.kind !== 'bytes') throw new OrcaError('peer_unavailable', `the peer sent no bytes: ${kind.kind}`);
    });
    try {
      yield* drain(window, cursor);
      return { kind: 'bytes' };
    } catch (error) {
      answer.reject(error);
      const settled = await answer.promise.catch(() => undefined);
      if (settled !== undefined && settled.kind !== 'bytes') return settled;
      if (hasCode(error, 'peer_unavailable')) return error;
      if (!mayWait(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(Math.min(error.retryAfterMs ?? OVERLOADED_PAUSE_MS, OVERLOADED_PAUSE_MS), read.signal);
    }
  }
}
