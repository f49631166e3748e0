/** Azure storage accounts as origin. */
import { originKind } from '#cache/origins/kind.ts';
import { azureAddress } from '#cache/wire/azure/address.ts';
import { resolveAzure } from '#cache/wire/azure/settings.ts';
import { azureBlobOrigin } from '#crds/kinds/azure-blob.ts';
import { openAzureOrigin } from './origin.ts';

export const azureBlob = originKind({
  schema: azureBlobOrigin,
  resolve: resolveAzure,
  fingerprint: (settings) => `${azureAddress(settings).host} ${settings.account}`,
  open: (settings, env) => openAzureOrigin({ ...settings, env }),
});
