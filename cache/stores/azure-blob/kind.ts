/** Containers of Azure storage accounts as cachestore. */
import { storeKind } from '#cache/stores/kind.ts';
import { resolveAzure } from '#cache/wire/azure/settings.ts';
import { azureBlobStore } from '#crds/kinds/azure-blob.ts';
import { openAzureStore } from './store.ts';

export const azureBlob = storeKind({
  schema: azureBlobStore,
  resolve: (fields, context) => ({ ...resolveAzure(fields, context), container: fields.container }),
  open: (settings, env) => openAzureStore({ ...settings, env }),
});
