import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

/** Three chunks. */
const OBJECT = patternBytes(3 * MIB, 1);

/** Of two clusters with one cachestore, the second waits for its first byte until the first has stored all. */
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

test('a fill that waited looks again in the cachestore before it asks the origin', async () => {
  const { get, second } = twoClusters(1_000);
  await get();
  expect(second.origin.counts.reads).toBe(0);
  expect(second.replicas[0]!.counts.fills['failed']).toBeUndefined();
});

test('not where it has waited for less than another would need', async () => {
  const { get, second } = twoClusters(100);
  await get();
  // For the first chunk; the others were not being filled yet.
  expect(second.origin.counts.reads).toBe(1);
});

test('so does one that waited for memory', async () => {
  const clock = fakeClock();
  const other = openEngines({ clock, readahead: 0 });
  // Memory to look in the cachestore, and none to fill.
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
