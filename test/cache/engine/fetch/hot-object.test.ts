/** Three replicas, one of which reads the same committed object again and again. */
import { expect, test } from 'vitest';
import { expectNothingLeased } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

const READS = 20;

test('a tenth of its bytes at most comes from other replicas', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB });
  const body = patternBytes(16 * MIB);
  engines.origin.put('far-models', 'a', body);
  await readAll(engines.replicas[1]!.engine, readRequest('a'));
  await expectNothingLeased(engines);
  const [, , reader] = engines.replicas;
  const before = reader!.peerBytes;
  for (let read = 0; read < READS; read++) {
    const { bytes } = await readAll(reader!.engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
  }
  expect(reader!.peerBytes - before).toBeLessThanOrEqual((READS * body.length) / 10);
  // Each chunk that the reader does not coordinate, once.
  expect(engines.store.counts.bytesRead).toBeLessThanOrEqual(body.length);
  await expectNothingLeased(engines);
});

test('a chunk without checksums does not come to lie in memory', async () => {
  const cold = openEngines({ replicas: 3, chunkBytes: MIB });
  const body = patternBytes(4 * MIB);
  cold.origin.put('far-models', 'a', body);
  await readAll(cold.replicas[0]!.engine, readRequest('a'));
  await expectNothingLeased(cold);
  for (const path of cold.store.paths()) cold.store.plant({ path: path as never }, cold.store.body(path)!);
  const engines = openEngines({ replicas: 3, chunkBytes: MIB, store: cold.store, originSeen: () => cold.origin });
  for (let read = 0; read < 4; read++)
    expect((await readAll(engines.replicas[0]!.engine, readRequest('a'))).bytes.equals(body)).toBe(true);
  expect(engines.replicas[0]!.engine.memoryTier.count).toBe(0);
  await expectNothingLeased(engines);
});
