/**
 * Rendezvous (highest random weight) hashing: ranks the replicas for a chunk, of which the first is its coordinator.
 * Replicas with the same set of owners compute the same order without communication. When a replica leaves, only its own
 * chunks move.
 */
import { createHash } from 'node:crypto';

/**
 * The `count` highest-ranked of `peers` for a chunk path or an object hash, best first. The score is the first 8 bytes
 * (big-endian) of sha256( sha256(path) ‖ peer ). A chunk path contains the chunk's index, so that the chunks of one
 * object are spread over all replicas.
 */
export function rankPeers<Peer extends string>(path: string, peers: readonly Peer[], count = peers.length): Peer[] {
  const hash = createHash('sha256').update(path, 'utf8').digest();
  return peers
    .map((peer) => ({ peer, score: scoreOf(hash, peer) }))
    .toSorted((a, b) => (a.score === b.score ? (a.peer < b.peer ? -1 : 1) : a.score > b.score ? -1 : 1))
    .slice(0, count)
    .map(({ peer }) => peer);
}

/** The score of one peer; exported for the golden vectors of the tests. */
export function score(path: string, peer: string): bigint {
  return scoreOf(createHash('sha256').update(path, 'utf8').digest(), peer);
}

function scoreOf(hash: Buffer, peer: string): bigint {
  return createHash('sha256').update(hash).update(peer, 'utf8').digest().readBigUInt64BE();
}
