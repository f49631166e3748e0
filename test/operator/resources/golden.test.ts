import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { desiredChildren } from '#operator/resources/list.ts';
import { AZURE, cacheFrom, contextOf, FILESYSTEM, FULL, HTTP, MINIMAL } from '#test/operator/caches.ts';

const GOLDEN = join(import.meta.dirname, '../../golden/operator');

describe('the children of a cache', () => {
  test.for([
    ['minimal', MINIMAL],
    ['full', FULL],
    ['filesystem', FILESYSTEM],
    ['azure', AZURE],
    ['http', HTTP],
  ] as const)('match the golden file: %s', async ([name, yaml]) => {
    const cache = cacheFrom(yaml);
    const documents = desiredChildren(cache, contextOf(cache, { provenConfigs: ['0badcafe'] })).map(({ manifest }) =>
      stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }),
    );
    await expect(documents.join('---\n')).toMatchFileSnapshot(join(GOLDEN, `${name}.yaml`));
  });

  test('are built deterministically', () => {
    const cache = cacheFrom(FULL);
    expect(desiredChildren(cache, contextOf(cache))).toEqual(desiredChildren(cache, contextOf(cache)));
  });

  test('contain no credential except the peer key in its Secret', () => {
    const cache = cacheFrom(FULL);
    const key = contextOf(cache).newPeerKeyBase64;
    const holders = desiredChildren(cache, contextOf(cache)).filter(({ manifest }) =>
      JSON.stringify(manifest).includes(key),
    );
    expect(holders.map(({ manifest }) => manifest.kind)).toEqual(['Secret']);
  });
});
