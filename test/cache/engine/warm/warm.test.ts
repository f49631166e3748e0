import { describe, expect, test } from 'vitest';
import { MIB, openEngines, patternBytes, readRequest, type Replica } from '#test/support/engines.ts';

const KEY = 'weights/model.safetensors';
const NAME = { bucket: 'models', key: KEY };
const ORIGIN_BUCKET = 'far-models';
const BODY = patternBytes(2.5 * MIB);

function opened(options: Parameters<typeof openEngines>[0] = {}) {
  const engines = openEngines(options);
  engines.origin.put(ORIGIN_BUCKET, KEY, BODY);
  const [replica] = engines.replicas as readonly [Replica];
  const { signal } = new AbortController();
  const warmAll = async (from: Replica = replica): Promise<number> => {
    const { warm } = from.engine;
    const object = await warm.resolve(NAME, signal);
    let originBytes = 0;
    for (let index = 0; index < object.count; index++) {
      const chunk = object.chunkAt(index);
      if (await warm.isStored(chunk, signal)) continue;
      originBytes += (await warm.chunk(chunk, { knownAbsent: true, requestId: 'run', signal })).originBytes;
    }
    return originBytes;
  };
  return { ...engines, replica, signal, warmAll };
}

describe('an object that is warmed', () => {
  test('is in the cachestore, and the origin has sent each byte once', async () => {
    const { origin, store, warmAll } = opened();
    expect(await warmAll()).toBe(BODY.length);
    expect(store.paths()).toHaveLength(3);
    expect(origin.counts.reads).toBe(3);
  });

  test('is warmed by the replicas that coordinate its chunks', async () => {
    const { origin, store, replicas, warmAll } = opened({ replicas: 3 });
    origin.put(ORIGIN_BUCKET, KEY, patternBytes(12 * MIB));
    expect(await warmAll()).toBe(12 * MIB);
    expect(store.paths()).toHaveLength(12);
    for (const { counts } of replicas) expect(counts.committedBytes).toBeGreaterThan(0);
  });

  test('is read without the origin', async () => {
    const { origin, replica, warmAll } = opened();
    await warmAll();
    const before = origin.counts.reads;
    const { body } = await replica.engine.read(readRequest(KEY));
    let lengthBytes = 0;
    for await (const piece of body) {
      lengthBytes += piece.bytes.length;
      piece.release();
    }
    expect([lengthBytes, origin.counts.reads]).toEqual([BODY.length, before]);
  });
});
