/**
 * The chunks of one response in order, with the next ones already on their way. Read-ahead takes only memory that is to
 * spare; what could not be had early is asked for again when its turn comes.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ChunkRead, FetchContext } from './cursor.ts';
import { fetchChunk } from './chunk.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';

/** Of one response; more would let a single reader fill the pool with what it may never read. */
const MAX_AHEAD_BYTES = 64 * 1024 * 1024;

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
  // A reader that has stopped needs nothing early. A fill is left to go on: given up, it would be made again.
  const unsubscribe = plan.pace?.onStall(() => {
    for (const [at, prefetch] of ahead.entries()) {
      if (prefetch === GIVEN_BACK || context.flights.get(prefetch.path) !== undefined) continue;
      ahead[at] = GIVEN_BACK;
      closing.push(prefetch.close());
    }
  });
  try {
    for (let number = 0; number < plan.count; number++) {
      const prefetch = ahead.shift() ?? NOT_PREFETCHED;
      opened = Math.max(opened, number + 1);
      // The first chunk's requests go out before those of the chunks behind it: a client waits for them.
      const begun = number === 0 ? begin(context, { ...plan.slice(0), ...plan, demand: 'new' }) : undefined;
      while (opened < plan.count && ahead.length < depth(context, plan))
        ahead.push(startPrefetch(context, { ...plan.slice(opened++), ...plan, demand: 'ahead' }));
      const early = await (begun ?? prefetch.take());
      if (early !== undefined) {
        yield* early;
        continue;
      }
      if (prefetch !== NOT_PREFETCHED) {
        // It could not be had early. Whoever waits for memory holds none: the others give theirs back first.
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

/** With its first byte a response has started: what it needs after that it waits for, instead of being refused. */
async function begin(context: FetchContext, read: ChunkRead): Promise<Pieces> {
  const pieces = fetchChunk(context, read);
  const first = await pieces.next();
  read.demand = 'started';
  return first.done === true ? pieces : startingWith(first.value, pieces);
}

function depth(context: FetchContext, plan: SlicePlan): number {
  if (!context.memory.isRelaxed || plan.readahead === 0) return 0;
  if (plan.pace?.isSlow === true) return 0;
  return Math.min(plan.readahead, Math.max(1, Math.floor(MAX_AHEAD_BYTES / plan.chunkSizeBytes)));
}

interface Prefetch {
  readonly path: ChunkPath;
  /** The pieces from the first on; undefined if the chunk could not be had early. */
  take(): Promise<Pieces | undefined>;
  close(): Promise<void>;
}

const NOTHING = { path: '' as ChunkPath, take: async () => undefined, close: async () => {} };
const NOT_PREFETCHED: Prefetch = { ...NOTHING };
const GIVEN_BACK: Prefetch = { ...NOTHING };

/** Asks for the chunk now and holds its first piece until its turn. */
function startPrefetch(context: FetchContext, read: ChunkRead): Prefetch {
  const dropped = new AbortController();
  const early = { ...read, signal: AbortSignal.any([read.signal, dropped.signal]) };
  const pieces = fetchChunk(context, early);
  const first = pieces.next().then(
    (result) => (result.done === true ? undefined : result.value),
    // Whatever it was: the chunk is asked for again in its turn, and says so then.
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
      dropped.abort(new OrcaError('cancelled', 'read ahead for nobody'));
      (await first)?.release();
      await pieces.return();
    },
  };
}

/** `rest` with the piece that was taken from it put back in front. */
export async function* startingWith(first: Piece, rest: Pieces): Pieces {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return();
  }
}
