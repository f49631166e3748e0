/**
 * Fetches a chunk from the origin in parts, several at a time. Parts that clients wait for come first; a broken part is
 * resumed at its offset; a fill that gets no slot at the origin for too long is abandoned.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { ByteSink, Clock, Observer, Origin } from '#cache/engine/ports.ts';
import { wasNotAsked } from '#cache/engine/upstream/circuit-breaker.ts';
import type { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { withRetry, type RetrySettings } from '#cache/engine/upstream/retry.ts';
import { isArriving, missingTo, reuseBlocks } from './block-reuse.ts';
import type { BlockTable } from './block-table.ts';
import type { Flight, FillPart } from './flight.ts';
import { TaskGroup } from './task-group.ts';

/** Four concurrent parts hide the origin's latency; more would take the slots of other fills. */
const PARTS_AT_ONCE = 4;
/** While the origin has room: 800 MB/s at 100 MB/s per connection, more than one client of a replica takes. */
const PARTS_WITH_ROOM = 8;
/** Limits the wait for the first byte of a part. A lost request is retried soon. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** Without a byte later on, while the sink has room: then the part is resumed at its offset. */
const STALL_TIMEOUT_MS = 10_000;
/** The progress between two breaks that resets the retries: an origin that only drips fails like a silent one. */
const MIN_PROGRESS_BYTES = 64 * 1024;
/** Queue timeouts of 5 s each: after a minute without a slot at the origin, a started fill fails. */
const MAX_REFUSALS = 12;

export interface PartsContext {
  readonly origin: Origin;
  readonly limiter: OriginLimiter;
  readonly blockTable: BlockTable;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  readonly retry: RetrySettings;
}

export interface PartHooks {
  /** Called after each piece. */
  readonly onArrived: () => void;
  /** Called with each slot, before the origin request; a rejection ends the fill. */
  readonly onSlot?: () => Promise<void>;
}

/** Fetches all parts of the flight, those first that readers wait for. */
export async function fetchParts(
  context: PartsContext,
  flight: Flight,
  bytes: ChunkBytes,
  hooks: PartHooks,
  signal: AbortSignal,
): Promise<void> {
  const { onArrived } = hooks;
  const { path } = flight.chunk;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let running = 0;
  let refusals = 0;
  /** The first part of one more worker, until it has its slot: others are started one by one, so that slots are counted. */
  let growing: FillPart | undefined;
  // Parts that a sparse read is fetching come last, so that they are not fetched twice.
  const next = () => flight.nextPart(({ at }) => isArriving(context.blockTable.runAt(path, at)));
  const reuse = (part: FillPart) => {
    const onReused = (lengthBytes: number) => {
      context.observer.sparseBytes('reused', lengthBytes);
      onArrived();
      flight.arrived(part);
    };
    return reuseBlocks(context.blockTable, path, part, bytes, onReused, either);
  };
  const onSlot = async (part: FillPart) => {
    await hooks.onSlot?.();
    if (growing === part) growing = undefined;
    if (growing !== undefined || running >= PARTS_WITH_ROOM || !mayGrow(context, flight)) return;
    growing = next();
    if (growing !== undefined) tasks.start(worker(true));
  };
  const fetch = (part: FillPart, to: number) => {
    const sink = sinkOf(context, flight, part, to, bytes, onArrived);
    return fetchPart(context, flight, part, to, sink, either, () => onSlot(part));
  };
  const worker = async (isExtra: boolean) => {
    for (let part = next(); part !== undefined; part = next()) {
      part.started = true;
      running++;
      try {
        // Again after each request: blocks may have been evicted, or have arrived, meanwhile.
        for (await reuse(part); part.at < part.to; await reuse(part)) {
          const to = missingTo(context.blockTable, path, part);
          if (part.at < to) await fetch(part, to);
        }
        refusals = 0;
      } catch (error) {
        const isAlone = running === 1;
        const isRefused = hasCode(error, 'overloaded') || wasNotAsked(error);
        // No slot for what no client needs, for as long as the limiter waits.
        const isInVain = flight.isBackground && hasCode(error, 'overloaded');
        if (!isRefused || isInVain || (isAlone && (flight.arrivedBytes === 0 || ++refusals > MAX_REFUSALS)))
          throw error;
        // No slot at the origin. An abandoned fill would fetch its bytes again, so this one continues with fewer slots.
        // A part that is still running may be the breaker's probe: cancelling it would keep the breaker open.
        part.started = false;
        if (!isAlone) return;
      } finally {
        running--;
        if (growing === part) growing = undefined;
      }
      if (isExtra && !mayGrow(context, flight)) return;
    }
  };
  const tasks = new TaskGroup((error) =>
    failed.abort(new OrcaError('cancelled', 'another part of the chunk failed', { cause: error })),
  );
  for (let count = Math.min(PARTS_AT_ONCE, flight.parts.length); count > 0; count--) tasks.start(worker(false));
  await tasks.ended();
}

/** Whether it may have more parts in flight than a fill has in any case: a client waits, and the origin has room. */
function mayGrow({ limiter }: PartsContext, flight: Flight): boolean {
  return !flight.isBackground && limiter.hasRoom;
}

/** Fetches the part up to `to`. */
async function fetchPart(
  context: PartsContext,
  flight: Flight,
  part: FillPart,
  to: number,
  sink: ByteSink,
  signal: AbortSignal,
  onSlot: PartHooks['onSlot'],
): Promise<void> {
  const { object, range } = flight.chunk;
  let lastAt = part.at;
  const progressed = () => part.at - lastAt >= MIN_PROGRESS_BYTES && ((lastAt = part.at), true);
  const readRest = async (turn: AbortSignal): Promise<void> => {
    // All was there when the last turn ended.
    if (part.at === to) return;
    await onSlot?.();
    flight.requested();
    const startedMs = context.clock.now();
    const rest = { from: range.from + part.at, to: range.from + to };
    const report = (outcome: 'ok' | 'error') =>
      context.observer.originRequest('read', outcome, context.clock.now() - startedMs, object);
    try {
      const timeouts = { firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS, stallTimeoutMs: STALL_TIMEOUT_MS };
      const continues = flight.arrivedBytes > 0;
      await readOrigin(context, flight, rest, sink, { signal: turn, continues, ...timeouts });
      if (part.at !== to)
        throw new OrcaError('origin_unavailable', `the origin's response ended ${to - part.at} bytes early`);
      report('ok');
    } catch (error) {
      // A preempted request is no failure of the origin.
      if (!wasNotAsked(error)) report(turn.aborted && !signal.aborted ? 'ok' : 'error');
      throw error;
    }
  };
  const { retry: settings, clock, random } = context;
  const isFinal = (error: OrcaError) => isForWalker(flight, error);
  await withRetry({ settings, clock, random, signal, progressed, isFinal }, () =>
    context.limiter.run(object.bucket, signal, readRest, flight),
  );
}

/** The walker that waits for it slows down for all chunks. A retry costs less than bytes that have arrived already. */
function isForWalker(flight: Flight, error: OrcaError): boolean {
  return flight.isBackground && flight.isWarm && flight.arrivedBytes === 0 && hasCode(error, 'origin_throttled');
}

/** Once a reader has named the version, an overwrite of its key does not end the fill. */
async function readOrigin(
  { origin }: PartsContext,
  flight: Flight,
  range: ByteRange,
  sink: ByteSink,
  options: Parameters<Origin['read']>[3],
): Promise<void> {
  const { object } = flight.chunk;
  const { versionId } = flight;
  try {
    await origin.read(versionId === object.versionId ? object : { ...object, versionId }, range, sink, options);
  } catch (error) {
    const isOverwritten = versionId === undefined && hasCode(error, 'object_changed', 'not_found');
    if (!isOverwritten || flight.versionId === undefined) throw error;
    await origin.read({ ...object, versionId: flight.versionId }, range, sink, options);
  }
}

function sinkOf(
  context: PartsContext,
  flight: Flight,
  part: FillPart,
  to: number,
  bytes: ChunkBytes,
  onArrived: () => void,
): ByteSink {
  return {
    // Memory for the whole chunk is reserved, so an origin read never pauses, whatever the readers' sockets do.
    space: () => (part.at < to ? bytes.view(part.at, to) : undefined),
    filled: (lengthBytes) => {
      part.at += lengthBytes;
      flight.fetched(lengthBytes);
      context.observer.originBytes(lengthBytes, flight.chunk.object);
      onArrived();
      flight.arrived(part);
    },
    onSpace: () => {},
  };
}
