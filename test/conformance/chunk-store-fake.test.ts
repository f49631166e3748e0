import { decodeMetadata } from '#cache/core/chunk-metadata.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { systemClock } from '#shared/clock.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { chunkStoreSuite, type ChunkStoreFixture } from '#test/conformance/suites/chunk-store.ts';

function openFake(see: (store: FakeChunkStore) => ChunkStore): Promise<ChunkStoreFixture> {
  const store = fakeChunkStore();
  return Promise.resolve({
    store: see(store),
    async plant(path, body, fields) {
      // The fake cannot hold inconsistent fields; a length that differs from the body's represents them.
      const { 'orca-length': length, ...rest } = fields ?? {};
      const metadata = decodeMetadata({ ...rest, 'orca-length': String(body.length) });
      store.plant({ path }, body, metadata && { ...metadata, lengthBytes: Number(length) });
    },
    async vanish(path) {
      store.vanish(path);
    },
    async [Symbol.asyncDispose]() {
      await store.close();
    },
  });
}

chunkStoreSuite('in memory', () => openFake((store) => store));
chunkStoreSuite('in memory, behind a circuit breaker', () => openFake((store) => guardStore(store, systemClock)));
