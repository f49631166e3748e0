import { decodeMetadata } from '#cache/core/chunk-metadata.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { chunkStoreSuite } from '#test/conformance/suites/chunk-store.ts';

chunkStoreSuite('in memory', async () => {
  const store = fakeChunkStore();
  return {
    store,
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
  };
});
