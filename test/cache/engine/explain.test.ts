import { expect, test } from 'vitest';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

test('lists the chunks of an answer and the coordinator of each', async () => {
  const engines = openEngines({ replicas: 3 });
  const { engine, address } = engines.replicas[0]!;
  engines.origin.put('far-models', 'a', patternBytes(4 * MIB));
  const { result } = await readAll(engine, readRequest('a', { range: `bytes=${MIB}-${3 * MIB - 1}` }));
  const text = engine.explain(result);
  expect(text).toMatch(
    new RegExp(
      `^chunk_size=${MIB}; chunks=2; self=${address}; first=\\w+; 1@10\\.0\\.0\\.\\d:8444; 2@10\\.0\\.0\\.\\d:8444$`,
    ),
  );
});

test('lists at most sixteen chunks', async () => {
  const engines = openEngines({ chunkBytes: MIB / 8 });
  const { engine } = engines.replicas[0]!;
  engines.origin.put('far-models', 'a', patternBytes(4 * MIB));
  const text = engine.explain((await readAll(engine, readRequest('a'))).result);
  expect(text.endsWith('15@10.0.0.1:8444; ...')).toBe(true);
});
