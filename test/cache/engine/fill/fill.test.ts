import { expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { expectNothingLeased } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

/** Three chunks. */
const OBJECT = patternBytes(3 * MIB, 1);

/** Two clusters with one cachestore: the second gets no first byte before the first has stored the whole object. */
function twoClusters(silenceMs: number) {
  const clock = fakeClock();
  const first = openEngines({ clock, readahead: 0 });
  let reads = 0;
  const stalling = (origin: Origin): Origin => ({
    ...origin,
    async read(object, range, sink, options) {
      if (reads++ > 0) return origin.read(object, range, sink, options);
      await clock.sleep(silenceMs, options.signal);
      await readAll(first.replicas[0]!.engine, readRequest('a'));
      await first.replicas[0]!.engine.idle();
      throw new OrcaError('origin_unavailable', 'no first byte');
    },
  });
  const second = openEngines({ clock, readahead: 0, store: first.store, originSeen: stalling });
  for (const { origin } of [first, second]) origin.put('far-models', 'a', OBJECT);
  const get = async () => {
    const { bytes } = await whileTimePasses(clock, readAll(second.replicas[0]!.engine, readRequest('a')));
    expect(bytes.equals(OBJECT)).toBe(true);
  };
  return { get, second };
}

test('a fill that has waited checks the cachestore again before its next origin request', async () => {
  const { get, second } = twoClusters(1_000);
  await get();
  expect(second.origin.counts.reads).toBe(0);
  expect(second.replicas[0]!.counts.fills['failed']).toBeUndefined();
});

test('does not check again after a wait in which no other fill could have finished', async () => {
  const { get, second } = twoClusters(100);
  await get();
  // One read, of the first chunk: the fills of the other chunks had not started.
  expect(second.origin.counts.reads).toBe(1);
});

test('a fill that has waited for memory checks the cachestore again', async () => {
  const clock = fakeClock();
  const other = openEngines({ clock, readahead: 0 });
  // There is memory for a cachestore read, but not for a fill.
  const engines = openEngines({ clock, readahead: 0, store: other.store, budgetBytes: 4 * MIB });
  for (const { origin } of [other, engines]) origin.put('far-models', 'a', OBJECT);
  const { engine } = engines.replicas[0]!;
  const signal = new AbortController().signal;
  const taken = await engine.memory.lease(3 * MIB, 'fill', 'new', signal);
  const reading = readAll(engine, readRequest('a'));
  await whileTimePasses(clock, readAll(other.replicas[0]!.engine, readRequest('a')));
  await other.replicas[0]!.engine.idle();
  await clock.advance(2_000);
  taken.close();
  expect((await whileTimePasses(clock, reading)).bytes.equals(OBJECT)).toBe(true);
  expect(engines.origin.counts.reads).toBe(0);
});

test('a fill ends when the chunk has been loaded into memory before its first byte', async () => {
  const body = patternBytes(MIB);
  let reads = 0;
  const engines = openEngines({
    originSeen: (origin) => ({
      ...origin,
      async read(object, _range, _sink, { signal }) {
        reads++;
        // Another reader's cachestore read succeeds, after this one's had failed.
        const { memory, memoryTier } = engines.replicas[0]!.engine;
        const bytes = new ChunkBytes(await memory.lease(MIB, 'fill', 'new', signal), MIB);
        bytes.view(0, MIB).set(body);
        memoryTier.put(chunkAt(object, MIB, 0).path, bytes);
        throw new OrcaError('origin_unavailable', 'no first byte');
      },
    }),
  });
  engines.origin.put('far-models', 'a', body);
  const { result, bytes } = await readAll(engines.replicas[0]!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect([result.source, reads]).toEqual(['memory', 1]);
  await expectNothingLeased(engines);
});

test('a failed commit does not affect the client', async () => {
  const engines = openEngines();
  const body = patternBytes(MIB);
  engines.origin.put('far-models', 'a', body);
  engines.store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'refused', { status: 403 }) });
  const { bytes } = await readAll(engines.replicas[0]!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  await expectNothingLeased(engines);
  expect(engines.replicas[0]!.counts.fills).toEqual({ uncommitted: 1 });
});
