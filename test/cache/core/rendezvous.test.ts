import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkPathPrefix, type ChunkPath } from '#cache/core/chunk.ts';
import { rankPeers, score } from '#cache/core/rendezvous.ts';
import golden from '#test/golden/chunk-paths.json' with { type: 'json' };

const PEERS = ['10.0.0.1:8444', '10.0.0.2:8444', '10.0.0.3:8444'];

function pathsOf(key: string, count: number): ChunkPath[] {
  const prefix = chunkPathPrefix({ originId: 'o', bucket: 'b', key, etag: 'e' }, 8 * 1024 * 1024);
  return Array.from({ length: count }, (_, index) => `${prefix}${index}` as ChunkPath);
}

describe('golden vectors, computed by Python', () => {
  test.for(golden)('$key', ({ path, scores, ranked }) => {
    for (const [peer, value] of Object.entries(scores)) expect(score(path, peer)).toBe(BigInt(value));
    expect(rankPeers(path, Object.keys(scores))).toEqual(ranked);
  });
});

test('the ranking does not depend on the order of the peers', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(PEERS, { minLength: 3 }), fc.string(), (peers, key) => {
      for (const path of pathsOf(key, 4)) expect(rankPeers(path, peers)).toEqual(rankPeers(path, PEERS));
    }),
  );
});

test('a peer that leaves moves only its own chunks, to their runner-up', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...PEERS), (key, leaving) => {
      const left = PEERS.filter((peer) => peer !== leaving);
      for (const path of pathsOf(key, 16)) {
        const [first, second] = rankPeers(path, PEERS, 2);
        expect(rankPeers(path, left, 1)[0]).toBe(first === leaving ? second : first);
      }
    }),
  );
});

test('each of three peers owns at least 12 of the 64 chunks of an object', () => {
  // Shares are binomial (mean 21, standard deviation 3.8): about one object in seventy has a smaller share.
  const objects = 300;
  const smallest = Array.from({ length: objects }, (_, i) => {
    const owners = pathsOf(`object-${i}`, 64).map((path) => rankPeers(path, PEERS, 1)[0]);
    return Math.min(...PEERS.map((peer) => owners.filter((owner) => owner === peer).length));
  });
  expect(smallest[0]).toBeGreaterThanOrEqual(12);
  expect(smallest.filter((share) => share >= 12).length).toBeGreaterThan(0.97 * objects);
  expect(Math.min(...smallest)).toBeGreaterThanOrEqual(5);
});

test('returns no ranking for an empty peer list', () => {
  expect(rankPeers('o/h/0', [])).toEqual([]);
});
