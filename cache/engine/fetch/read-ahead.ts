/**
 * Read-ahead (prefetch): yields the chunks of one response in order, while the next ones are already being fetched. It
 * takes only spare memory; a chunk that could not be fetched early is fetched when its turn comes.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import { fetchChunk } from './chunk.ts';
import type { ChunkRead, FetchContext } from './context.ts';

/** For one response. More would let a single client fill the pool with bytes that it may never read. */
const MAX_AHEAD_BYTES = 64 * 1024 * 1024;
/**
 * An object that comes from the origin gets twice as much while the origin has room: its chunks have to be fetched in any
 * case, and 16 connections at 100 MB/s are as fast as one replica.
 */
const COLD_FACTOR = 2;

export interface SlicePlan {
  readonly count: number;
  readonly chunkSizeBytes: number;
  slice(number: number): Pick<ChunkRead, 'chunk' | 'range' | 'sparse'>;
  /** How many chunks ahead; 0 = off. */
  readonly readahead: number;
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly pace?: Pace | undefined;
}

type Pieces = AsyncGenerator<Piece, void, void>;

export async function* streamSlices(context: FetchContext, plan: SlicePlan): Pieces {
  const ahead: Prefetch[] = [];
  const closing: Promise<void>[] = [];
  let opened = 0;
  const seen: Seen = { isCold: false };
  const openAhead = () => {
    while (opened < plan.count && ahead.length < depth(context, plan, seen))
      ahead.push(startPrefetch(context, { ...plan.slice(opened++), ...plan, demand: 'ahead' }, seen));
  };
  // A stalled client needs nothing early. A running fill continues: abandoned, it would be started again.
  const unsubscribe = plan.pace?.onStall(() => {
    for (const [at, prefetch] of ahead.entries()) {
      if (prefetch === CANCELLED || context.flights.get(prefetch.path) !== undefined) continue;
      ahead[at] = CANCELLED;
      closing.push(prefetch.close());
    }
  });
  try {
    for (let number = 0; number < plan.count; number++) {
      const prefetch = ahead.shift() ?? NOT_PREFETCHED;
      opened = Math.max(opened, number + 1);
      // The first chunk's requests go out before those of later chunks: the client waits for them.
      const begun = number === 0 ? begin(context, { ...plan.slice(0), ...plan, demand: 'new' }, seen) : undefined;
      openAhead();
      const early = await (begun ?? prefetch.take());
      if (early !== undefined) {
        openAhead();
        yield* early;
        continue;
      }
      if (prefetch !== NOT_PREFETCHED) {
        // It could not be fetched early. A read that waits for memory must hold none: the other prefetches end first.
        opened = number + 1;
        await Promise.all(ahead.splice(0).map((other) => other.close()));
      }
      yield* fetchChunk(context, { ...plan.slice(number), ...plan, demand: 'started' });
    }
  } finally {
    unsubscribe?.();
    await Promise.all([...closing, ...ahead.map((prefetch) => prefetch.close())]);
  }
}

/** With its first byte a response has started: from then on it waits for memory, instead of being refused. */
async function begin(context: FetchContext, read: ChunkRead, seen: Seen): Promise<Pieces> {
  const pieces = fetchChunk(context, read);
  const first = await pieces.next();
  if (first.done !== true) notice(seen, first.value);
  read.demand = 'started';
  return first.done === true ? pieces : startingWith(first.value, pieces);
}

/** What the chunks so far have shown. */
interface Seen {
  /** The last one that was opened came from the origin. */
  isCold: boolean;
}

function depth(context: FetchContext, plan: SlicePlan, { isCold }: Seen): number {
  if (!context.memory.isRelaxed || plan.readahead === 0) return 0;
  if (plan.pace?.isSlow === true) return 0;
  const factor = isCold && context.limiter.hasRoom ? COLD_FACTOR : 1;
  return Math.min(plan.readahead * factor, Math.max(1, Math.floor((MAX_AHEAD_BYTES * factor) / plan.chunkSizeBytes)));
}

function notice(seen: Seen, { source }: Piece): void {
  seen.isCold = source === 'fill' || source === 'peer_fill';
}

interface Prefetch {
  readonly path: ChunkPath;
  /** All pieces; undefined if the chunk could not be fetched early. */
  take(): Promise<Pieces | undefined>;
  close(): Promise<void>;
}

const NOTHING = { path: '' as ChunkPath, take: async () => undefined, close: async () => {} };
const NOT_PREFETCHED: Prefetch = { ...NOTHING };
const CANCELLED: Prefetch = { ...NOTHING };

/** Starts to fetch the chunk, and keeps its first piece until its turn. */
function startPrefetch(context: FetchContext, read: ChunkRead, seen: Seen): Prefetch {
  const dropped = new AbortController();
  const early = { ...read, signal: AbortSignal.any([read.signal, dropped.signal]) };
  const pieces = fetchChunk(context, early);
  const first = pieces.next().then(
    (result) => {
      if (result.done === true) return undefined;
      notice(seen, result.value);
      return result.value;
    },
    // Whatever the error is: the chunk is fetched again in its turn, and fails then if it has to.
    () => undefined,
  );
  return {
    path: read.chunk.path,
    async take() {
      const piece = await first;
      if (piece === undefined) return undefined;
      early.demand = 'started';
      return startingWith(piece, pieces);
    },
    async close() {
      dropped.abort(new OrcaError('cancelled', 'the prefetched chunk is not needed'));
      (await first)?.release();
      await pieces.return();
    },
  };
}

/** Puts a piece that was taken from `rest` back in front. */
export async function* startingWith(first: Piece, rest: Pieces): Pieces {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return();
  }
}
