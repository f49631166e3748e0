import { fakeOrigin } from '#test/support/fake-origin.ts';
import { originSuite } from './suites/origin.ts';

originSuite('in memory', async () => {
  const origin = fakeOrigin();
  origin.createBucket('bucket');
  return {
    origin,
    bucket: 'bucket',
    async put(key, body, headers) {
      origin.put('bucket', key, body, headers === undefined ? {} : { headers });
    },
    async remove(key) {
      origin.remove('bucket', key);
    },
    async [Symbol.asyncDispose]() {
      await origin.close();
    },
  };
});
