import { openAzureOrigin } from '#cache/origins/azure.ts';
import { startAzurite } from '#test/support/azurite.ts';
import { originListSuite } from './suites/origin-list.ts';
import { originSuite, type OriginFixture } from './suites/origin.ts';

const open = async (): Promise<OriginFixture> => {
  const azurite = await startAzurite({ containers: ['bucket'] });
  const origin = openAzureOrigin(azurite.client);
  return {
    origin,
    bucket: 'bucket',
    put: (key, body, headers) => azurite.putBlob('bucket', key, body, headers),
    remove: (key) => azurite.deleteBlob('bucket', key),
    async [Symbol.asyncDispose]() {
      await origin.close();
      await azurite[Symbol.asyncDispose]();
    },
  };
};

originSuite('Azure Blob (Azurite)', open);
originListSuite('Azure Blob (Azurite)', open);
