import { expect, test } from 'vitest';
import { expectNoStreams, expectNothingLeased, readsBody, turns } from '#test/support/engine-checks.ts';
import { collect, MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

test('when the coordinator is down, the runner-up fills each chunk once', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
  const body = patternBytes((32 * MIB) / 8);
  engines.origin.put('far-models', 'a', body);
  engines.replicas[2]!.dead = true;
  const reads = [0, 1, 0, 1].map((i) => readAll(engines.replicas[i]!.engine, readRequest('a')));
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
  await expectNothingLeased(engines);
});

test('when the coordinator fails in the middle of a stream, the reader still gets every byte', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: 4 * MIB, readahead: 0 });
  const body = patternBytes(24 * MIB);
  engines.origin.put('far-models', 'a', body);
  const result = await engines.replicas[0]!.engine.read(readRequest('a'));
  const reading = collect(result);
  engines.replicas[1]!.dead = true;
  engines.replicas[2]!.dead = true;
  expect((await reading).equals(body)).toBe(true);
});

test('when all other replicas fail, each reader of a shared stream continues from the next source at its own offset', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: 2 * MIB, readahead: 0 });
  const body = patternBytes(8 * MIB);
  engines.origin.put('far-models', 'a', body);
  const [a, b, c] = engines.replicas;
  const reads = Array.from({ length: 20 }, () => readsBody(a!, body));
  await turns(10);
  b!.dead = true;
  c!.dead = true;
  expect(new Set(await Promise.all(reads))).toEqual(new Set([true]));
  await expectNoStreams(engines);
});
