/** The text of `X-Orca-Explain`: the chunks of an answer, and which replica coordinates each. */
import { chunkPathPrefix, sliceAt, sliceCount } from '#cache/core/chunk.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerView } from './ports.ts';
import type { ReadResult } from './read.ts';

/** A header line has a limited length; the first chunks show the pattern. */
const MAX_CHUNKS = 16;

/** `chunk_size=8388608; chunks=3; first=store; 0@10.0.0.1:8444; 1@10.0.0.2:8444; ...` */
export function explain(result: ReadResult, peers: PeerView): string {
  const { object, chunkSizeBytes, range, source } = result;
  const prefix = chunkPathPrefix(object, chunkSizeBytes);
  const { owners, self } = peers.current();
  const count = sliceCount(range, chunkSizeBytes);
  const chunks = Array.from({ length: Math.min(count, MAX_CHUNKS) }, (_, number) => {
    const { index } = sliceAt(range, chunkSizeBytes, number);
    const [coordinator = self] = rankPeers(`${prefix}${index}`, owners, 1);
    return `${index}@${coordinator}`;
  });
  const fields = [`chunk_size=${chunkSizeBytes}`, `chunks=${count}`, `self=${self}`, `first=${source ?? 'none'}`];
  return [...fields, ...chunks, ...(count > MAX_CHUNKS ? ['...'] : [])].join('; ');
}
