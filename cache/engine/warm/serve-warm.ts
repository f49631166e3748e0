/** Warms a chunk on this replica, for its own walker or for that of another replica. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { ChunkHasher } from '#cache/engine/fill/chunk-hasher.ts';
import { LOOK_AGAIN_MS, type FillContext } from '#cache/engine/fill/fill.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import type { GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import type { PeerAddress, PeerView } from '#cache/engine/ports.ts';
import type { Admission, Started } from './admission.ts';
import { lookInStore } from './look-in-store.ts';

/** As long as a fill in the background waits for a slot at the origin. */
export const WARM_LIMIT_MS = 10 * 60_000;
/** A commit that is retried for longer is not waited for. If it succeeds after all, the next attempt finds the chunk. */
const COMMIT_WAIT_MS = 60_000;

export interface WarmContext extends FillContext {
  readonly store: GuardedStore;
  readonly flights: Flights;
  readonly peers: PeerView;
  readonly admission: Admission;
  readonly capacity: Pick<Capacity, 'touch'>;
}

export interface WarmCall {
  readonly chunk: Chunk;
  readonly rank: 1 | 2;
  /** The cachestore has just answered the walker that it does not have the chunk. */
  readonly knownAbsent: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export type WarmReply =
  | { readonly kind: 'stored'; readonly originBytes: number }
  | { readonly kind: 'not_coordinator'; readonly owner: PeerAddress; readonly epoch: string };

/** A call of another replica. */
export async function serveWarm(context: WarmContext, call: WarmCall): Promise<WarmReply> {
  const { path } = call.chunk;
  const isOurs = (): boolean => {
    const { owners, self } = context.peers.current();
    const [first = self, second] = rankPeers(path, owners, 2);
    return first === self || (second === self && call.rank === 2);
  };
  try {
    // Whatever the rank: a chunk in flight here need not be fetched from the origin again.
    if (isOurs() || context.flights.get(path) !== undefined)
      return { kind: 'stored', originBytes: await warmHere(context, call, isOurs) };
  } catch (error) {
    if (!hasCode(error, 'not_coordinator')) throw error;
  }
  const { owners, self, epoch } = context.peers.current();
  const [owner = self] = rankPeers(path, owners, 1);
  return { kind: 'not_coordinator', owner, epoch };
}

/** Resolves when the chunk is committed, with the bytes that were read from the origin for this call. */
export function warmHere(
  context: WarmContext,
  { chunk, knownAbsent, signal }: WarmCall,
  isOurs = () => true,
): Promise<number> {
  const late = () => new OrcaError('overloaded', `the chunk was not warmed within ${WARM_LIMIT_MS / 1000} s`);
  return withDeadline(context.clock, WARM_LIMIT_MS, late, signal, (bounded) =>
    warmUntilStored(context, chunk, knownAbsent, isOurs, bounded),
  );
}

async function warmUntilStored(
  context: WarmContext,
  chunk: Chunk,
  knownAbsent: boolean,
  isOurs: () => boolean,
  signal: AbortSignal,
): Promise<number> {
  const { flights, outbox, catalog, clock } = context;
  const { path } = chunk;
  // A commit since the walker's look, or an entry that is out of date.
  let lookedMs = knownAbsent && !catalog.has(path) ? clock.now() : undefined;
  let overwrite = false;
  for (;;) {
    const running = flights.get(path);
    if (running !== undefined) return follow(context, { flight: running, isNew: false }, signal);
    if (outbox.settled(path) !== undefined) {
      await waitForCommit(context, chunk, signal);
      return 0;
    }
    if (lookedMs === undefined || clock.now() - lookedMs > LOOK_AGAIN_MS) {
      const found = await lookInStore(context, chunk, signal);
      if (found === 'stored') {
        catalog.add(path);
        context.capacity.touch(path, chunk.object.bucket);
        return 0;
      }
      catalog.forget(path);
      overwrite = found === 'corrupt';
      lookedMs = clock.now();
      continue;
    }
    throwIfNotStoring(context);
    const looked = lookedMs;
    // While it waits for its turn, another call may fill the chunk, commit it, and lose it from memory.
    const isKnownAbsent = (): boolean => overwrite || (!catalog.has(path) && clock.now() - looked <= LOOK_AGAIN_MS);
    const started = await context.admission.begin({ chunk, overwrite, isKnownAbsent, isOurs }, signal);
    if (started !== undefined) return follow(context, started, signal);
    commitFromMemory(context, chunk, overwrite);
  }
}

/** Waits for the end of the fill and of its commit. */
async function follow(context: WarmContext, { flight, isNew }: Started, signal: AbortSignal): Promise<number> {
  const { admission, catalog } = context;
  const leave = flight.warm();
  try {
    await abortable(flight.ended, signal);
  } catch (error) {
    // A client needed its memory.
    if (!hasCode(error, 'cancelled') || signal.aborted) throw error;
    throw new OrcaError('overloaded', 'a client needed the memory', { cause: error, retryAfterMs: 1_000 });
  } finally {
    leave();
    admission.reconsider();
  }
  const { path } = flight.chunk;
  if (context.outbox.settled(path) !== undefined) await waitForCommit(context, flight.chunk, signal);
  else if (!catalog.has(path)) throw notCommitted();
  return isNew ? flight.fetchedBytes : 0;
}

async function waitForCommit(
  { outbox, clock, admission }: WarmContext,
  chunk: Chunk,
  signal: AbortSignal,
): Promise<void> {
  const late = () =>
    new OrcaError('store_unavailable', `the chunk was not committed within ${COMMIT_WAIT_MS / 1000} s`);
  const isCommitted = await withDeadline(clock, COMMIT_WAIT_MS, late, signal, (bounded) =>
    abortable(outbox.settled(chunk.path) ?? Promise.resolve(false), bounded),
  );
  admission.reconsider();
  if (!isCommitted) throw notCommitted();
}

/** What is fetched now could not be committed. */
function throwIfNotStoring({ store, outbox }: WarmContext): void {
  store.breaker.throwUnlessClosed();
  if (outbox.isFull) throw new OrcaError('store_unavailable', 'the cachestore is full');
}

/** Its commit has failed once, or it was read from the cachestore and evicted there: the origin need not send it again. */
function commitFromMemory({ memoryTier, outbox }: WarmContext, chunk: Chunk, overwrite: boolean): void {
  const bytes = memoryTier.take(chunk.path);
  if (bytes === undefined) return;
  const hasher = new ChunkHasher(chunk);
  hasher.advance(bytes, chunk.lengthBytes);
  void outbox.commit({ chunk, metadata: hasher.finish(), bytes, overwrite });
}

function notCommitted(): OrcaError {
  return new OrcaError('store_unavailable', 'the chunk could not be committed to the cachestore');
}
