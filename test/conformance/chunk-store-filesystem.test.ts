import { mkdir, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { trailerOf } from '#cache/stores/filesystem/trailer.ts';
import { chunkStoreSuite } from '#test/conformance/suites/chunk-store.ts';

chunkStoreSuite('filesystem', async () => {
  const root = await mkdtemp(join(tmpdir(), 'orca-store-'));
  const store = openFilesystemStore({ path: root });
  return {
    store,
    async plant(path, body, fields) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), fields === undefined ? body : Buffer.concat([body, trailerOf(fields)]));
    },
    async vanish(path) {
      await unlink(join(root, path));
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(root, { recursive: true, force: true });
    },
  };
});
