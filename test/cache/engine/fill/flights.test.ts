import { expect, test } from 'vitest';
import { expectNothingLeased } from '#test/support/engine-checks.ts';
import { collect, MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

test('fifty concurrent readers share one fill of each chunk', async () => {
  const engines = openEngines();
  const body = patternBytes(2 * MIB + 1);
  engines.origin.put('far-models', 'a', body);
  const reads = Array.from({ length: 50 }, () => readAll(engines.replicas[0]!.engine, readRequest('a')));
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 3, bytes: body.length });
  await expectNothingLeased(engines);
});

test('a commit waits for no client, and the fill stays joinable until it is done', async () => {
  const engines = openEngines();
  const body = patternBytes(MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  engines.store.commitGate.hold();
  const slow = await engine.read(readRequest('a'));
  const { bytes } = await readAll(engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engine.flights.count).toBe(1);
  engines.store.commitGate.release();
  await engine.idle();
  expect(engines.store.counts.won).toBe(1);
  expect((await collect(slow)).equals(body)).toBe(true);
  expect(engines.origin.counts.reads).toBe(1);
  await expectNothingLeased(engines);
});
