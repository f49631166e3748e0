/**
 * A chunk's bytes from the origin: in parts, several at a time, those first that are waited for; resumed where one broke,
 * given up where the origin gives no turn.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { wasNotAsked } from '#cache/engine/upstream/circuit-breaker.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { Flight, FillPart } from './flight.ts';
import type { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import type { ByteSink, Clock, Observer, Origin } from '#cache/engine/ports.ts';
import { withRetry, type RetrySettings } from '#cache/engine/upstream/retry.ts';
import { copyHeld, isArriving, unheldTo } from './block-reuse.ts';
import type { BlockTable } from './block-table.ts';

/** Four parts at a time hide the origin's latency; more would only take other fills' slots. */
const PARTS_AT_ONCE = 4;
/** Before the first byte of a part, and without a byte while we want some. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
const STALL_TIMEOUT_MS = 10_000;
/** Less than this between two breaks is not getting anywhere: an origin that drips is given up like one that is silent. */
const MIN_PROGRESS_BYTES = 64 * 1024;
/** Of 5 s each: a minute without a single turn at the origin ends a fill that has begun. */
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
  /** After each piece. */
  readonly onArrived: () => void;
  /** With a turn at the origin, before it is asked; what this rejects with ends the fill. */
  readonly onTurn?: () => Promise<void>;
}

/** All parts of the flight's range, those first that are waited for. */
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
  // What a sparse read is about to bring comes last: it is not asked for twice.
  const next = () => flight.nextPart(({ at }) => isArriving(context.blockTable.runAt(path, at)));
  const reuse = (part: FillPart) => {
    const lengthBytes = copyHeld(context.blockTable, path, part, bytes);
    if (lengthBytes === 0) return;
    context.observer.sparseBytes('reused', lengthBytes);
    onArrived();
    flight.arrived(part);
  };
  const fetch = (part: FillPart, to: number) =>
    fetchPart(context, flight, part, to, sinkOf(context, flight, part, to, bytes, onArrived), either, hooks.onTurn);
  const worker = async () => {
    for (let part = next(); part !== undefined; part = next()) {
      part.started = true;
      running++;
      try {
        reuse(part);
        const to = unheldTo(context.blockTable, path, part);
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
  context: PartsContext,
  flight: Flight,
  part: FillPart,
  to: number,
  sink: ByteSink,
  signal: AbortSignal,
  onTurn: PartHooks['onTurn'],
): Promise<void> {
  const { object, range } = flight.chunk;
  let lastAt = part.at;
  const progressed = () => part.at - lastAt >= MIN_PROGRESS_BYTES && ((lastAt = part.at), true);
  await withRetry({ settings: context.retry, clock: context.clock, random: context.random, signal, progressed }, () =>
    context.limiter.run(object.bucket, signal, async () => {
      await onTurn?.();
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
  context: PartsContext,
  flight: Flight,
  part: FillPart,
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
