/**
 * One request to another replica for the bytes of a chunk, for all who read along: memory for its window, the request,
 * and the same once more where it falls silent.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { FillWhy } from '#cache/core/peer/fill-request.ts';
import { rangeLength, type ByteRange } from '#cache/core/object.ts';
import { spareLease } from '#cache/engine/fetch/cursor.ts';
import type { InboundRead, InboundReader } from './peer-stream-reader.ts';
import { INBOUND_SEGMENTS, InboundWindow } from './peer-stream-window.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { ChunkMemory, Demand } from '#cache/engine/memory/chunk-memory.ts';
import type {
  Clock,
  FillAnswer,
  FillRequest,
  Observer,
  PeerAddress,
  PeerClient,
  PeerView,
} from '#cache/engine/ports.ts';

/** To the first byte of a coordinator that says it is alive. */
const DEADLINE_MS = 20_000;
/**
 * Longer than it has itself: who lives has the last word. Taken for dead at the very deadline, it would be asked for in
 * other replicas' names, and each would fetch from a slow origin what is on its way already.
 */
const LAST_WORD_MS = 1_000;
/**
 * Without a byte while we want some, in the middle of a stream: a pod whose network went with it says no goodbye. It is
 * asked again from where it stopped, and who lives says so, however slow its origin is.
 */
const STALL_MS = 3_000;

export interface InboundContext {
  readonly memory: ChunkMemory;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly clock: Clock;
  readonly observer: Observer;
}

/** Who is asked for what, and on what grounds: equal asks share a stream. */
export interface InboundAsk {
  readonly chunk: Chunk;
  readonly peer: PeerAddress;
  readonly rank: 1 | 2;
  readonly why: FillWhy;
  /** So little of the chunk that the peer need not bring all of it. */
  readonly sparse?: boolean;
}

export interface InboundStream {
  readonly ask: InboundAsk;
  readonly window: InboundWindow;
  /** The class in which it waits for its memory. */
  readonly demand: Demand;
}

/**
 * Asks for `range` and lets `read` be the first to read it. `onEnd` is called when nobody is to join any more: the last
 * reader has left, or there are no bytes to come. Read-ahead throws (`overloaded`) instead of waiting for memory.
 */
export function openInbound(
  context: InboundContext,
  ask: InboundAsk,
  range: ByteRange,
  read: InboundRead,
  onEnd: (stream: InboundStream) => void,
): { readonly stream: InboundStream; readonly reader: InboundReader } {
  const lengthBytes = Math.min(rangeLength(range), INBOUND_SEGMENTS * SEGMENT_BYTES);
  const early = read.demand === 'ahead' ? spareLease(context.memory, lengthBytes) : undefined;
  const abandoned = new AbortController();
  const { signal } = abandoned;
  const window = new InboundWindow(context.memory, range, () => {
    onEnd(stream);
    abandoned.abort(new OrcaError('cancelled', 'the last reader has gone'));
  });
  const stream: InboundStream = { ask, window, demand: read.demand === 'started' ? 'started' : 'new' };
  const reader = window.join(range, read);
  const run = async (): Promise<void> => {
    const lease = early ?? (await context.memory.lease(lengthBytes, 'window', stream.demand, signal));
    // Granted in the moment in which the last reader left.
    if (signal.aborted) lease.close();
    signal.throwIfAborted();
    window.open(lease);
    const answer = await follow(context, stream, signal);
    if (answer.kind !== 'bytes') onEnd(stream);
    window.finish({ answer });
  };
  run().catch((error: unknown) => {
    // Out of the table first: whoever hears of the failure and asks again starts afresh.
    onEnd(stream);
    window.finish({ error });
  });
  return { stream, reader };
}

async function follow(
  context: InboundContext,
  { ask, window }: InboundStream,
  signal: AbortSignal,
): Promise<FillAnswer> {
  for (let stalledAt: number | undefined; ;) {
    const asker = window.asker;
    const request: FillRequest = {
      chunk: ask.chunk,
      range: { from: window.writtenTo, to: window.range.to },
      rank: ask.rank,
      epoch: context.peers.current().epoch,
      demand: asker?.demand === 'started' ? asker.demand : 'new',
      deadlineMs: DEADLINE_MS,
      why: ask.why,
      // What is left of a stream that broke off is the rest of a longer read.
      sparse: ask.sparse === true && window.writtenTo === window.range.from,
    };
    try {
      return await context.peerClient.fill(ask.peer, request, window, {
        signal,
        requestId: asker?.requestId,
        firstByteTimeoutMs: DEADLINE_MS + LAST_WORD_MS,
        stallTimeoutMs: STALL_MS,
        onSource: (source) => (window.source = source === 'flight' ? 'peer_fill' : 'peer'),
      });
    } catch (error) {
      const isStall = hasCode(error, 'peer_unavailable') && error.details === 'stall';
      if (!isStall || stalledAt === window.writtenTo) throw error;
      context.observer.fallThrough('stalled', 'asked again');
      stalledAt = window.writtenTo;
    }
  }
}
