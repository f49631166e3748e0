import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { evictMemory, expectNothingLeased } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

test('bytes corrupted in the cachestore never leave: the chunk is filled again and overwritten', async () => {
  const engines = openEngines();
  const body = patternBytes(MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  evictMemory(engines);
  const path = engines.store.paths()[0]!;
  engines.store.flip(path, 500_000);
  const { bytes } = await readAll(engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  await engine.idle();
  expect(Buffer.from(engines.store.body(path)!).equals(body)).toBe(true);
  await expectNothingLeased(engines);
});

test('a corrupt chunk does not count as stored, even while it cannot be repaired', async () => {
  const engines = openEngines();
  engines.origin.put('far-models', 'a', patternBytes(MIB));
  const { engine } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  evictMemory(engines);
  const [path = ''] = engines.store.paths();
  expect(engine.catalog.has(path as ChunkPath)).toBe(true);
  engines.store.flip(path, 500_000);
  engines.origin.inject({ on: 'read', what: new OrcaError('origin_denied', 'denied') });
  await expect(readAll(engine, readRequest('a'))).rejects.toMatchObject({ code: 'origin_denied' });
  expect(engine.catalog.has(path as ChunkPath)).toBe(false);
});

test('chunks deleted from the cachestore cost only another fill', async () => {
  const engines = openEngines();
  const body = patternBytes(2 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine, counts } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  evictMemory(engines);
  expect(counts.fallThroughs).toEqual({ 'store/chunk_missing': 2 });
  for (const path of engines.store.paths()) engines.store.vanish(path);
  const { bytes } = await readAll(engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  await engine.idle();
  expect(engines.store.paths()).toHaveLength(2);
  expect(engines.origin.counts.bytes).toBe(2 * body.length);
  expect(counts.fallThroughs).toEqual({ 'store/chunk_missing': 2, 'store/evicted': 2 });
  expect(counts.warnings).toEqual([]);
});

test('serves from the origin while the cachestore is down, even chunks known to be stored', async () => {
  const engines = openEngines();
  const body = patternBytes(2 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  evictMemory(engines);
  engines.store.down = new OrcaError('store_unavailable', 'denied', { status: 403 });
  const { bytes } = await readAll(engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
});
