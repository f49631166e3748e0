/**
 * Fills one chunk from the origin: reserve memory, fetch in parts, compute CRCs, commit. A fill belongs to no caller:
 * clients read along, and the commit waits for none of them. An incomplete chunk is never committed.
 */
import { chunkFields, type Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { abortable } from '#shared/abortable.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Lease } from '#cache/engine/memory/lease.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { ChunkStore, Demand } from '#cache/engine/ports.ts';
import type { StoreLookups } from '#cache/engine/streams/store-lookups.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { isInStore } from '#cache/engine/upstream/store-query.ts';
import { ChunkHasher } from './chunk-hasher.ts';
import type { CommitTurns } from './commit-turns.ts';
import type { Flight } from './flight.ts';
import { fetchParts, type PartsContext } from './origin-parts.ts';
import type { Outbox } from './outbox.ts';
import type { Repairs } from './repairs.ts';

/** About the time that another replica needs to fill and commit a chunk. */
export const LOOK_AGAIN_MS = 1_000;
/** Many round trips to the cachestore: a reader that takes longer to look a chunk up waits for memory, or for an outage. */
const SHARED_LOOK_MS = 250;

export interface FillContext extends PartsContext {
  readonly store: ChunkStore;
  readonly memory: ChunkMemory;
  readonly memoryTier: MemoryTier;
  readonly outbox: Outbox;
  readonly repairs: Repairs;
  readonly catalog: Catalog;
  readonly storeLookups: StoreLookups;
  readonly commitTurns: CommitTurns;
}

export interface FillOrder {
  readonly chunk: Chunk;
  readonly demand: Demand;
  /** The cachestore has just answered that it does not have the chunk. */
  readonly knownAbsent: boolean;
  /** The cachestore's copy is corrupt: overwrite it. */
  readonly overwrite: boolean;
  /** Memory reserved beforehand, for read-ahead, which never queues. */
  readonly lease: Lease | undefined;
}

/** Runs a fill to its end. Rejects when it fails before all bytes have arrived; a failed commit only costs a refill. */
export async function runFill(
  context: FillContext,
  order: FillOrder,
  flight: Flight,
  signal: AbortSignal,
): Promise<void> {
  const { chunk } = order;
  const onSlot = checkStoredAgain(context, order, flight, signal);
  const lease = await reserve(context, order, flight, signal);
  if (lease === 'stored') return;
  const bytes = new ChunkBytes(lease, chunk.lengthBytes);
  // From here on the flight's owner drops the bytes if this fails, after every reader was notified.
  flight.begin(bytes);
  const hasher = new ChunkHasher(chunk);
  const onArrived = () => hasher.advance(bytes, flight.contiguousTo);
  try {
    await fetchParts(context, flight, bytes, { onArrived, onSlot }, signal);
  } catch (error) {
    if (!hasCode(error, 'chunk_stored')) throw error;
    bytes.drop();
    settleStored(context, chunk, flight);
    return;
  }
  const metadata = hasher.finish();
  context.blockTable.forget(chunk.path);
  if (order.overwrite && !context.repairs.begin(chunk.path)) {
    context.observer.warn('cachestore: a chunk is corrupt again after its repair; serving it from memory', {
      chunk: chunkFields(chunk),
    });
    context.observer.fill('uncommitted');
    context.memoryTier.put(chunk.path, bytes);
    return;
  }
  const { isWarm } = flight;
  const isAbandoned = flight.isBackground && !isWarm;
  if (!flight.isShared) await context.commitTurns.wait(bytes.sizeBytes);
  const isCold = () => isWarm && !flight.wasRead;
  const { overwrite } = order;
  await context.outbox.commit({ chunk, metadata, bytes, overwrite, rank: flight, isAbandoned, isCold });
}

/** Leases memory for all bytes before the first origin request; `stored` if the cachestore has the chunk. */
export async function reserve(
  context: FillContext,
  order: Omit<FillOrder, 'overwrite'>,
  flight: Flight,
  signal: AbortSignal,
): Promise<Lease | 'stored'> {
  const { chunk, lease } = order;
  let kept = false;
  try {
    if (!order.knownAbsent && (await isStored(context, chunk, signal))) {
      settleStored(context, chunk, flight);
      return 'stored';
    }
    kept = true;
    return lease ?? (await context.memory.lease(flight.chunk.lengthBytes, 'fill', order.demand, signal));
  } finally {
    if (!kept) lease?.close();
  }
}

function settleStored(context: FillContext, chunk: Chunk, flight: Flight): void {
  context.catalog.add(chunk.path);
  context.blockTable.forget(chunk.path);
  flight.settleStored();
}

/**
 * Called with each slot at the origin. Rejects with `chunk_stored` if the chunk became available while this fill waited
 * for memory or for its slot: another replica stored it, or another reader's cachestore read succeeded.
 */
function checkStoredAgain(
  context: FillContext,
  { chunk, overwrite }: FillOrder,
  flight: Flight,
  signal: AbortSignal,
): () => Promise<void> {
  let lookedMs = context.clock.now();
  let looking: Promise<boolean> = Promise.resolve(false);
  return async () => {
    if (overwrite || flight.arrivedBytes > 0) return;
    if (context.memoryTier.get(chunk.path) !== undefined)
      throw new OrcaError('chunk_stored', `${chunk.path} was loaded from the cachestore meanwhile`);
    const nowMs = context.clock.now();
    if (nowMs - lookedMs >= LOOK_AGAIN_MS) {
      lookedMs = nowMs;
      looking = isStored(context, chunk, signal);
    }
    if (await looking) throw new OrcaError('chunk_stored', `${chunk.path} was stored by another replica meanwhile`);
  };
}

/** Undefined after `limitMs`. */
function within<T>(
  { clock }: FillContext,
  limitMs: number,
  result: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const cancel = clock.after(limitMs, () => resolve(undefined));
  return abortable(Promise.race([result, late]), signal).finally(cancel);
}

/**
 * A cachestore that does not answer must not keep a client from the origin. A reader that is looking the chunk up right
 * now shares its answer.
 */
async function isStored(context: FillContext, chunk: Chunk, signal: AbortSignal): Promise<boolean> {
  const { store, observer, storeLookups } = context;
  const inFlight = storeLookups.find(chunk.path);
  const known = inFlight === undefined ? undefined : await within(context, SHARED_LOOK_MS, inFlight, signal);
  if (known === 'stored' || known === 'missing') return known === 'stored';
  return isInStore(store, chunk, signal, (code) => observer.fallThrough('store', code));
}
