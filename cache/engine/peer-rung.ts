/** A peer's rung: the coordinator or the runner-up is asked to fill, and streams or says where the chunk is. */
import { hasCode, OrcaError } from '../core/errors.ts';
import type { FillWhy } from '../core/fill-request.ts';
import {
  drain,
  isSparseStill,
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

/** To the first byte of a coordinator that says it is alive. */
const DEADLINE_MS = 20_000;
/**
 * Without a byte while we want some, in the middle of a stream: a pod whose network went with it says no goodbye. It is
 * asked again from where it stopped, and who lives says so, however slow its origin is.
 */
const STALL_MS = 3_000;

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
): Pieces<FillAnswer | OrcaError> {
  const sinceMs = context.clock.now();
  let stalledAt: number | undefined;
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
        why,
        sparse: isSparseStill(read, cursor),
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
      if (hasCode(error, 'peer_unavailable')) {
        if (error.details !== 'stall' || stalledAt === cursor.at) return error;
        context.observer.fallThrough('stalled', 'asked again');
        stalledAt = cursor.at;
        continue;
      }
      if (!mayWait(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(Math.min(error.retryAfterMs ?? OVERLOADED_PAUSE_MS, OVERLOADED_PAUSE_MS), read.signal);
    }
  }
}
