/** The chunks of an answer, and which replica coordinates each: for `X-Orca-Explain` and the log. */
import { chunkPathPrefix, sliceAt, sliceCount } from '#cache/core/chunk.ts';
import type { PeerAddress } from '#cache/core/peer-set.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerView } from './ports.ts';
import type { ReadResult } from './read.ts';

/** A header line has a limited length; the first chunks show the pattern. */
const MAX_CHUNKS = 16;

export interface ChunkCoordinators {
  /** The index of the first chunk. */
  readonly first: number;
  readonly count: number;
  /** One for each of the first 16 chunks, in order. */
  readonly coordinators: readonly PeerAddress[];
}

export function coordinatorsOf(
  { object, chunkSizeBytes, range }: Pick<ReadResult, 'object' | 'chunkSizeBytes' | 'range'>,
  peers: PeerView,
): ChunkCoordinators {
  const prefix = chunkPathPrefix(object, chunkSizeBytes);
  const { owners, self } = peers.current();
  const count = sliceCount(range, chunkSizeBytes);
  const first = sliceAt(range, chunkSizeBytes, 0).index;
  const coordinators = Array.from({ length: Math.min(count, MAX_CHUNKS) }, (_, number) => {
    const [coordinator = self] = rankPeers(`${prefix}${first + number}`, owners, 1);
    return coordinator;
  });
  return { first, count, coordinators };
}

/** `chunk_size=8388608; chunks=3; first=store; 0@10.0.0.1:8444; 1@10.0.0.2:8444; ...` */
export function explain(result: ReadResult, peers: PeerView): string {
  const { chunkSizeBytes, source } = result;
  const { first, count, coordinators } = coordinatorsOf(result, peers);
  const { self } = peers.current();
  const chunks = coordinators.map((coordinator, number) => `${first + number}@${coordinator}`);
  const fields = [`chunk_size=${chunkSizeBytes}`, `chunks=${count}`, `self=${self}`, `first=${source ?? 'none'}`];
  return [...fields, ...chunks, ...(count > MAX_CHUNKS ? ['...'] : [])].join('; ');
}
