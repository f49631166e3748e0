/** Many clients read one cold object at once: how often the cachestore is queried about each chunk that it does not have. */
import { expect, test } from 'vitest';
import type { Clock } from '#cache/engine/ports.ts';
import { MIB, openEngines, patternBytes, readRequest } from '#test/support/engines.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const LONG_MS = 120_000;
const CLIENTS = 30;
const STORE_MS = 2;
const ORIGIN_FIRST_BYTE_MS = 20;
/** 100 MB/s. */
const ORIGIN_MIB_MS = 10;
const NEVER = new AbortController().signal;

/** A store that takes its time, and counts the queries for each chunk until it has it. */
function slowStore(clock: Clock, commitMs: number): { store: FakeChunkStore; queries: Map<string, number> } {
  const store = fakeChunkStore();
  const queries = new Map<string, number>();
  const original = { ...store };
  const query = async (path: string): Promise<void> => {
    if (!store.paths().includes(path)) queries.set(path, (queries.get(path) ?? 0) + 1);
    await clock.sleep(STORE_MS, NEVER);
  };
  const slow: Pick<FakeChunkStore, 'read' | 'has' | 'commit'> = {
    async read(...call) {
      await query(call[0].path);
      return original.read(...call);
    },
    async has(...call) {
      await query(call[0].path);
      return original.has(...call);
    },
    async commit(...call) {
      await clock.sleep(commitMs, NEVER);
      return original.commit(...call);
    },
  };
  return { store: Object.assign(store, slow), queries };
}

test.for([
  ['one replica, chunks that are not loaded into memory', { replicas: 1, budgetMib: 256, commitMs: 50, chunkMib: 16 }],
  ['three replicas, little memory', { replicas: 3, budgetMib: 64, commitMs: 500, chunkMib: 16 }],
  ['three replicas, small chunks', { replicas: 3, budgetMib: 256, commitMs: 50, chunkMib: 4 }],
] as const)('%s: once', { timeout: LONG_MS }, async ([, { replicas, budgetMib, commitMs, chunkMib }]) => {
  const clock = fakeClock();
  const { store, queries } = slowStore(clock, commitMs);
  const engines = openEngines({
    replicas,
    budgetBytes: budgetMib * MIB,
    chunkBytes: chunkMib * MIB,
    clock,
    store,
    originSeen: (origin) => ({
      ...origin,
      async read(object, range, sink, call) {
        await clock.sleep(ORIGIN_FIRST_BYTE_MS, call.signal);
        for (let at = range.from; at < range.to; at += MIB) {
          await clock.sleep(ORIGIN_MIB_MS, call.signal);
          await origin.read(object, { from: at, to: Math.min(at + MIB, range.to) }, sink, call);
        }
      },
    }),
  });
  engines.origin.put('far-models', 'a', patternBytes(32 * MIB));
  for (const { engine } of engines.replicas) await passing(clock, engine.read(readRequest('a', { headOnly: true })));
  const clients = Array.from({ length: CLIENTS }, async (_, number) => {
    const { body } = await engines.replicas[number % replicas]!.engine.read(readRequest('a'));
    // From as fast as possible down to 20 MB/s.
    const slowness = number % 10;
    for await (const piece of body) {
      if (slowness > 0) await clock.sleep((slowness * 5 * piece.bytes.length) / MIB, NEVER);
      piece.release();
    }
  });
  await passing(clock, Promise.all(clients));
  expect(queries.size).toBe(32 / chunkMib);
  for (const count of queries.values()) expect(count).toBeLessThanOrEqual(1);
});

async function passing(clock: FakeClock, promise: Promise<unknown>): Promise<void> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  void promise.then(settled, settled);
  while (!isSettled) await clock.advance(1);
  await promise;
}
