/**
 * One request to another replica for the bytes of a chunk, shared by all local readers of it: memory for its window,
 * the request, and one repetition where the peer stops sending.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { rangeLength, type ByteRange } from '#cache/core/object.ts';
import type { FillReason } from '#cache/core/peer/fill-request.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type {
  Clock,
  Demand,
  FillAnswer,
  FillRequest,
  Observer,
  PeerAddress,
  PeerClient,
  PeerView,
} from '#cache/engine/ports.ts';
import type { StreamRead, StreamReader } from './stream-reader.ts';
import { SHARED_SEGMENTS, StreamWindow } from './stream-window.ts';

/** How long a coordinator that reports itself alive may take to its first byte: it may wait for a slot, and retry. */
const DEADLINE_MS = 20_000;
/**
 * We wait longer than the peer's own deadline, so that a peer that is alive reports its failure itself. Taken for dead
 * at the deadline, it would be replaced, and each replacement would fetch from a slow origin what is already in flight.
 */
const ANSWER_GRACE_MS = 1_000;
/**
 * Without a byte in the middle of a stream, while there is room: a pod that lost its network closes no connection. The
 * request is repeated from the offset reached, and a peer that is alive answers, however slow its origin is.
 */
const STALL_MS = 3_000;

export interface PeerStreamContext {
  readonly memory: ChunkMemory;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly clock: Clock;
  readonly observer: Observer;
}

/** Which chunk is requested from which peer, and why: equal requests share a stream. */
export interface PeerStreamAsk {
  readonly chunk: Chunk;
  readonly peer: PeerAddress;
  readonly rank: 1 | 2;
  readonly reason: FillReason;
  /** Such a small part of the chunk that the peer need not fetch the whole chunk. */
  readonly sparse?: boolean;
}

export interface PeerStream {
  readonly ask: PeerStreamAsk;
  readonly window: StreamWindow;
  /** The class in which it waits for memory. */
  readonly demand: Demand;
}

/**
 * Requests `range`, on behalf of its first reader. `onEnd` is called when no reader may join any more: the last one has
 * left, or no bytes will come. Read-ahead throws `overloaded` instead of waiting for memory.
 */
export function openPeerStream(
  context: PeerStreamContext,
  ask: PeerStreamAsk,
  range: ByteRange,
  read: StreamRead,
  onEnd: (stream: PeerStream) => void,
): { readonly stream: PeerStream; readonly reader: StreamReader } {
  const { memory } = context;
  const lengthBytes = Math.min(rangeLength(range), SHARED_SEGMENTS * SEGMENT_BYTES);
  const spare = read.demand === 'ahead' ? memory.leaseSpare(lengthBytes) : undefined;
  const abandoned = new AbortController();
  const { signal } = abandoned;
  const onEmpty = () => {
    onEnd(stream);
    abandoned.abort(new OrcaError('cancelled', 'the last reader has left'));
  };
  const window = new StreamWindow({ memory, range, source: 'peer_fill', isShared: true, onEmpty });
  const stream: PeerStream = { ask, window, demand: read.demand === 'started' ? 'started' : 'new' };
  const reader = window.join(range, read);
  const run = async (): Promise<void> => {
    const lease = spare ?? (await memory.lease(lengthBytes, 'window', stream.demand, signal));
    // Granted in the same moment in which the last reader left.
    if (signal.aborted) lease.close();
    signal.throwIfAborted();
    window.open(lease);
    const answer = await requestBytes(context, stream, signal);
    if (answer.kind !== 'bytes') onEnd(stream);
    window.finish({ answer });
  };
  run().catch((error: unknown) => {
    // Closed to new readers first: a reader that retries after the failure must start a new stream.
    onEnd(stream);
    window.finish({ error });
  });
  return { stream, reader };
}

async function requestBytes(
  context: PeerStreamContext,
  { ask, window }: PeerStream,
  signal: AbortSignal,
): Promise<FillAnswer> {
  for (let stalledAt: number | undefined; ;) {
    const requester = window.requester;
    const request: FillRequest = {
      chunk: ask.chunk,
      range: { from: window.writtenTo, to: window.range.to },
      rank: ask.rank,
      epoch: context.peers.current().epoch,
      demand: requester?.demand === 'started' ? requester.demand : 'new',
      deadlineMs: DEADLINE_MS,
      reason: ask.reason,
      // The remainder of a broken stream is the end of a longer read, and not sparse.
      sparse: ask.sparse === true && window.writtenTo === window.range.from,
    };
    try {
      return await context.peerClient.fill(ask.peer, request, window, {
        signal,
        requestId: requester?.requestId,
        firstByteTimeoutMs: DEADLINE_MS + ANSWER_GRACE_MS,
        stallTimeoutMs: STALL_MS,
        onSource: (source) => (window.source = source === 'flight' ? 'peer_fill' : 'peer'),
      });
    } catch (error) {
      const isStall = hasCode(error, 'peer_unavailable') && error.details === 'stall';
      if (!isStall || stalledAt === window.writtenTo) throw error;
      context.observer.fallThrough('peer_stall', 'asked_again');
      stalledAt = window.writtenTo;
    }
  }
}
