/** Shared file systems as cachestore. */
import { storeKind } from '#cache/stores/kind.ts';
import { filesystemStore } from '#crds/kinds/filesystem.ts';
import { openFilesystemStore } from './store.ts';

export const filesystem = storeKind({
  schema: filesystemStore,
  resolve: ({ path }) => ({ path }),
  open: (settings) => openFilesystemStore(settings),
});
