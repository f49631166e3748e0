/** A purge with chunks deletes what is stored of the known versions, and nothing else. */
import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

const { signal } = new AbortController();

function open(options: Parameters<typeof openEngines>[0] = {}) {
  const { origin, store, replicas } = openEngines({ replicas: 2, ...options });
  const read = async (key: string) => {
    await readAll(replicas[0]!.engine, readRequest(key));
    await Promise.all(replicas.map(({ engine }) => engine.idle()));
    await expect.poll(() => replicas.every(({ engine }) => engine.outbox.count === 0)).toBe(true);
  };
  const purge = (key: string) => replicas[1]!.engine.purgeChunks({ bucket: 'models', key }, signal);
  return { origin, store, replicas, read, purge };
}

test('the chunks of the object are deleted, and its next read fetches them again', async () => {
  const { origin, store, read, purge } = open();
  origin.put('far-models', 'a', patternBytes(2.5 * MIB, 1));
  origin.put('far-models', 'ab', patternBytes(MIB, 2));
  await read('a');
  await read('ab');
  expect(store.paths()).toHaveLength(4);
  expect(await purge('a')).toEqual({ chunks: 3, bytes: 2.5 * MIB });
  expect(store.paths()).toHaveLength(1);
  expect(await purge('a')).toEqual({ chunks: 0, bytes: 0 });
});

test('the known version of an overwritten object is deleted, and the new one', async () => {
  const { origin, store, replicas, read, purge } = open();
  origin.put('far-models', 'a', patternBytes(MIB, 1));
  await read('a');
  origin.put('far-models', 'a', patternBytes(2 * MIB, 2));
  await replicas[0]!.engine.metadata.resolveAgain({ originId: 'test', bucket: 'far-models', key: 'a' }, signal);
  await read('a');
  origin.put('far-models', 'a', patternBytes(3 * MIB, 3));
  expect(store.paths()).toHaveLength(3);
  // The first version is not known any more.
  expect(await purge('a')).toEqual({ chunks: 2, bytes: 2 * MIB });
  expect(store.paths()).toHaveLength(1);
});

test('an object that the origin has deleted: the version that was read', async () => {
  const { origin, store, read, purge } = open();
  origin.put('far-models', 'a', patternBytes(2 * MIB, 1));
  await read('a');
  origin.remove('far-models', 'a');
  expect(await purge('a')).toEqual({ chunks: 2, bytes: 2 * MIB });
  expect(store.paths()).toEqual([]);
  expect(await purge('never')).toEqual({ chunks: 0, bytes: 0 });
});

test('without the origin, the version that was read', async () => {
  const { origin, read, purge } = open();
  origin.put('far-models', 'a', patternBytes(MIB, 1));
  await read('a');
  origin.inject({ on: 'head', times: 100, what: new OrcaError('origin_unavailable', 'down') });
  expect(await purge('a')).toEqual({ chunks: 1, bytes: MIB });
});

test('what cannot be deleted is an error, and a bucket that is not served is refused', async () => {
  const { origin, store, read, purge, replicas } = open();
  origin.put('far-models', 'a', patternBytes(MIB, 1));
  await read('a');
  store.down = new OrcaError('store_unavailable', 'down');
  await expect(purge('a')).rejects.toMatchObject({ code: 'store_unavailable' });
  const others = replicas[0]!.engine.purgeChunks({ bucket: 'others', key: 'a' }, signal);
  await expect(others).rejects.toMatchObject({ code: 'bucket_not_found' });
});

test('nothing is deleted before the origin id is verified', async () => {
  const { purge } = open({ fingerprint: 'f' });
  await expect(purge('a')).rejects.toThrow('the origin id is not verified in the cachestore yet');
});
