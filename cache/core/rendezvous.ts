/**
 * Which replica coordinates a chunk: rendezvous (highest random weight) hashing. Every replica with the same owner set
 * comes to the same order without a word between them, and a peer that leaves moves only its own chunks.
 */
import { createHash } from 'node:crypto';

/**
 * The `count` highest ranked of `peers` for a chunk's path (or an object's hash), best first. The score is the first 8 bytes (big-endian) of
 * sha256( sha256(chunk path) ‖ peer ); the path holds the chunk's index, so the chunks of one object spread.
 */
export function rankPeers<Peer extends string>(path: string, peers: readonly Peer[], count = peers.length): Peer[] {
  const hash = createHash('sha256').update(path, 'utf8').digest();
  return peers
    .map((peer) => ({ peer, score: scoreOf(hash, peer) }))
    .toSorted((a, b) => (a.score === b.score ? (a.peer < b.peer ? -1 : 1) : a.score > b.score ? -1 : 1))
    .slice(0, count)
    .map(({ peer }) => peer);
}

/** One peer's score for a chunk: for the golden vectors. */
export function score(path: string, peer: string): bigint {
  return scoreOf(createHash('sha256').update(path, 'utf8').digest(), peer);
}

function scoreOf(hash: Buffer, peer: string): bigint {
  return createHash('sha256').update(hash).update(peer, 'utf8').digest().readBigUInt64BE();
}
