/**
 * Bringing one chunk from the origin: reserve, fetch in parts, check, commit. It belongs to no caller: waiters read
 * along, the commit waits for none of them, and nothing wrong is ever committed.
 */
import type { Chunk } from '../core/chunk.ts';
import { hasCode, OrcaError } from '../core/errors.ts';
import { wasNotAsked } from './breaker.ts';
import type { Catalog } from './catalog.ts';
import { ChunkBytes } from './chunk-bytes.ts';
import { ChunkHasher } from './chunk-hasher.ts';
import type { Flight, Part } from './flight.ts';
import type { OriginLimiter } from './limiter.ts';
import type { Lease } from './lease.ts';
import type { ChunkMemory, Demand } from './memory.ts';
import type { MemoryTier } from './memory-tier.ts';
import type { Outbox } from './outbox.ts';
import type { ByteSink, ChunkStore, Clock, Observer, Origin } from './ports.ts';
import type { Repairs } from './repairs.ts';
import { withRetry, type RetrySettings } from './retry.ts';
import { copyHeld, isArriving, unheldTo } from './sparse-reuse.ts';
import type { SparseTable } from './sparse-table.ts';

/** Four parts at a time hide the origin's latency; more would only take other fills' slots. */
const PARTS_AT_ONCE = 4;
/** Before the first byte of a part, and without a byte while we want some. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
const STALL_TIMEOUT_MS = 10_000;
/** Less than this between two breaks is not getting anywhere: an origin that drips is given up like one that is silent. */
const MIN_PROGRESS_BYTES = 64 * 1024;
/** Of 5 s each: a minute without a single turn at the origin ends a fill that has begun. */
const MAX_REFUSALS = 12;
/** The store is near: longer than this it is not worth waiting for its word. */
const HAS_TIMEOUT_MS = 2_000;

export interface FillContext {
  readonly origin: Origin;
  readonly store: ChunkStore;
  readonly memory: ChunkMemory;
  readonly memoryTier: MemoryTier;
  readonly outbox: Outbox;
  readonly repairs: Repairs;
  readonly sparseTable: SparseTable;
  readonly catalog: Catalog;
  readonly limiter: OriginLimiter;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  readonly retry: RetrySettings;
}

export interface FillOrder {
  readonly chunk: Chunk;
  readonly demand: Demand;
  /** The cachestore was just asked and has not got it. */
  readonly knownAbsent: boolean;
  /** What the cachestore has is bad: overwrite it. */
  readonly overwrite: boolean;
  /** Memory that was reserved beforehand (read-ahead, which never queues). */
  readonly lease: Lease | undefined;
}

/** Runs a fill to its end. Rejects when it fails before all bytes are in; a failed commit only costs a refill. */
export async function runFill(
  context: FillContext,
  order: FillOrder,
  flight: Flight,
  signal: AbortSignal,
): Promise<void> {
  const { chunk } = order;
  const lease = await reserve(context, order, flight, signal);
  if (lease === 'stored') return;
  const bytes = new ChunkBytes(lease, chunk.lengthBytes);
  // From here on the flight's owner drops the bytes if this fails, once no reader can be told anything else.
  flight.settleBytes(bytes);
  const hasher = new ChunkHasher(chunk);
  await fetchParts(context, flight, bytes, () => hasher.advance(bytes, flight.contiguousTo), signal);
  const metadata = hasher.finish();
  context.sparseTable.forget(chunk.path);
  if (order.overwrite && !context.repairs.begin(chunk.path)) {
    context.observer.warn('a chunk is bad again after its repair; it is served from memory', { chunk: chunk.path });
    context.observer.fill('uncommitted');
    context.memoryTier.put(chunk.path, bytes);
    return;
  }
  await context.outbox.commit({ chunk, metadata, bytes, overwrite: order.overwrite });
}

/** Memory for all that is read, before the first origin request, unless the cachestore turns out to have the chunk. */
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
      context.catalog.add(chunk.path);
      context.sparseTable.forget(chunk.path);
      flight.settleStored();
      return 'stored';
    }
    kept = true;
    return lease ?? (await context.memory.lease(flight.chunk.lengthBytes, 'fill', order.demand, signal));
  } finally {
    if (!kept) lease?.close();
  }
}

/** One HEAD. A store that does not answer must not stand between a client and the origin. */
async function isStored(context: FillContext, chunk: Chunk, signal: AbortSignal): Promise<boolean> {
  try {
    return await context.store.has(chunk, { signal, firstByteTimeoutMs: HAS_TIMEOUT_MS });
  } catch (error) {
    if (!hasCode(error, 'store_unavailable', 'chunk_bad')) throw error;
    context.observer.fallThrough('store', error.code);
    return false;
  }
}

/** All parts of the flight's range, those first that are waited for; `onArrived` after each piece. */
export async function fetchParts(
  context: FillContext,
  flight: Flight,
  bytes: ChunkBytes,
  onArrived: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { path } = flight.chunk;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let running = 0;
  let refusals = 0;
  // What a sparse read is about to bring comes last: it is not asked for twice.
  const next = () => flight.nextPart(({ at }) => isArriving(context.sparseTable.runAt(path, at)));
  const reuse = (part: Part) => {
    const lengthBytes = copyHeld(context.sparseTable, path, part, bytes);
    if (lengthBytes === 0) return;
    context.observer.sparseBytes('reused', lengthBytes);
    onArrived();
    flight.arrived(part);
  };
  const fetch = (part: Part, to: number) =>
    fetchPart(context, flight, part, to, sinkOf(context, flight, part, to, bytes, onArrived), either);
  const worker = async () => {
    for (let part = next(); part !== undefined; part = next()) {
      part.started = true;
      running++;
      try {
        reuse(part);
        const to = unheldTo(context.sparseTable, path, part);
        if (part.at < to) await fetch(part, to);
        if (to < part.to) {
          reuse(part);
          // What stood there may have left memory meanwhile.
          if (part.at < part.to) await fetch(part, part.to);
        }
        refusals = 0;
      } catch (error) {
        const isAlone = running === 1;
        const isRefused = hasCode(error, 'overloaded') || wasNotAsked(error);
        if (!isRefused || (isAlone && (flight.arrivedBytes === 0 || ++refusals > MAX_REFUSALS))) throw error;
        // No turn at the origin: what this fill has would be asked for again, so it goes on with the turns it gets. The
        // part that still runs may be the breaker's probe: to give it up would keep the breaker open for ever.
        part.started = false;
        if (!isAlone) return;
      } finally {
        running--;
      }
    }
  };
  const workers = Array.from({ length: Math.min(PARTS_AT_ONCE, flight.parts.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    // The memory is given back after this: no part may still write into it.
    failed.abort(new OrcaError('cancelled', 'another part of the chunk failed', { cause: error }));
    await Promise.allSettled(workers);
    throw error;
  }
}

/** The part as far as `to`. */
async function fetchPart(
  context: FillContext,
  flight: Flight,
  part: Part,
  to: number,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<void> {
  const { object, range } = flight.chunk;
  let lastAt = part.at;
  const progressed = () => part.at - lastAt >= MIN_PROGRESS_BYTES && ((lastAt = part.at), true);
  await withRetry({ settings: context.retry, clock: context.clock, random: context.random, signal, progressed }, () =>
    context.limiter.run(object.bucket, signal, async () => {
      const startedMs = context.clock.now();
      const rest = { from: range.from + part.at, to: range.from + to };
      const told = (outcome: 'ok' | 'error') =>
        context.observer.originRequest('read', outcome, context.clock.now() - startedMs);
      try {
        const timeouts = { firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS, stallTimeoutMs: STALL_TIMEOUT_MS };
        await context.origin.read(object, rest, sink, { signal, ...timeouts });
        if (part.at !== to) throw new OrcaError('origin_unavailable', `the origin ended ${to - part.at} bytes short`);
        told('ok');
      } catch (error) {
        if (!wasNotAsked(error)) told('error');
        throw error;
      }
    }),
  );
}

function sinkOf(
  context: FillContext,
  flight: Flight,
  part: Part,
  to: number,
  bytes: ChunkBytes,
  onArrived: () => void,
): ByteSink {
  return {
    // The chunk's memory is reserved whole, so an origin read never pauses: no waiter's socket can slow it.
    space: () => (part.at < to ? bytes.view(part.at, to) : undefined),
    filled: (lengthBytes) => {
      part.at += lengthBytes;
      context.observer.originBytes(lengthBytes);
      onArrived();
      flight.arrived(part);
    },
    onSpace: () => {},
  };
}
