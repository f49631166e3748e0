/** The streams of one replica from a peer whose responses a test scripts. */
import { chunkAt } from '#cache/core/chunk.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { FillRequest, PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import { CommitWatch } from '#cache/engine/streams/commit-watch.ts';
import { PeerStreams } from '#cache/engine/streams/peer-streams.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { countingObserver, emptyCounts, MIB, peerSet } from './engines.ts';
import { fakeChunkStore } from './fake-chunk-store.ts';
import { fakeClock } from './fake-clock.ts';

/** An object of one chunk of 64 MiB, and a peer that responds with `fill`; by default it never responds. */
export function scriptedPeer(fill: PeerClient['fill'] = neverResponds) {
  const clock = fakeClock();
  const memory = new ChunkMemory({ budgetBytes: 256 * MIB, clock, poison: true });
  const store = fakeChunkStore();
  const requests: FillRequest[] = [];
  const commitQueries: FillRequest[] = [];
  const self = '10.0.0.1:8444' as PeerAddress;
  const peer = '10.0.0.2:8444' as PeerAddress;
  const peerClient: PeerClient = {
    fill: async (to, request, sink, options) => {
      if (request.reason === 'commit') {
        commitQueries.push(request);
        return { kind: store.paths().includes(request.chunk.path) ? 'stored' : 'none' };
      }
      requests.push(request);
      return fill(to, request, sink, options);
    },
    head: () => Promise.reject(new Error('unexpected call')),
    invalidate: () => Promise.reject(new Error('unexpected call')),
    reads: () => Promise.reject(new Error('unexpected call')),
    usage: () => Promise.reject(new Error('unexpected call')),
    warm: () => Promise.reject(new Error('unexpected call')),
    close: async () => {},
  };
  const view = peerSet(self, [self, peer]);
  const context = {
    memory,
    clock,
    store,
    peerClient,
    catalog: new Catalog(100),
    observer: countingObserver(emptyCounts()),
    peers: {
      current: () => view,
      onChange: () => () => {},
      ready: async () => {},
      staleMs: () => 0,
      close: async () => {},
    },
  };
  const streams = new PeerStreams({ ...context, commits: new CommitWatch(context) });
  const object = { originId: 'test', bucket: 'far-models', key: 'a', etag: 'e', sizeBytes: 64 * MIB };
  return { clock, memory, store, streams, requests, commitQueries, peer, chunk: chunkAt(object, 64 * MIB, 0) };
}

/** Rejects when the request is aborted. */
export const neverResponds: PeerClient['fill'] = (_to, _request, _sink, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
