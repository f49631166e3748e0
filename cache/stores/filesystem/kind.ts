/** Shared file systems as cachestore. */
import { filesystemStore } from '#crds/kinds/filesystem.ts';
import { storeKind } from '#cache/stores/kind.ts';
import { openFilesystemStore } from './store.ts';

export const filesystem = storeKind({
  schema: filesystemStore,
  resolve: ({ path }) => ({ path }),
  open: (settings) => openFilesystemStore(settings),
});
