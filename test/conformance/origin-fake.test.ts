import { fakeOrigin } from '#test/support/fake-origin.ts';
import { originListSuite } from '#test/conformance/suites/origin-list.ts';
import { originVersionsSuite } from '#test/conformance/suites/origin-versions.ts';
import { originSuite, type OriginFixture } from '#test/conformance/suites/origin.ts';

const open = async (): Promise<OriginFixture> => {
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
};

originVersionsSuite('in memory', async () => {
  const origin = fakeOrigin();
  return {
    origin,
    bucket: 'bucket',
    keepVersions: async () => origin.versions.set('bucket', 'Enabled'),
    put: async (key, body) => void origin.put('bucket', key, body),
    remove: async (key) => origin.remove('bucket', key) ?? '',
    [Symbol.asyncDispose]: () => origin.close(),
  };
});
originSuite('in memory', open);
originListSuite('in memory', open);
