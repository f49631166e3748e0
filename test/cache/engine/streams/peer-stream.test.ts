import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ChunkRead } from '#cache/engine/fetch/context.ts';
import { copyInto } from '#cache/wire/http1/sink.ts';
import { expectNoStreams, expectNothingLeased, readsBody, turns } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';
import { scriptedPeer } from '#test/support/scripted-peer.ts';
import { twoReplicas } from '#test/support/two-replicas.ts';

test('a stalled stream is requested again from its offset, from the same replica', async () => {
  const engines = openEngines({ replicas: 2, chunkBytes: 4 * MIB, readahead: 0 });
  const body = patternBytes(16 * MIB);
  engines.origin.put('far-models', 'a', body);
  const [a, b] = engines.replicas;
  b!.stalls = 2;
  const { bytes } = await readAll(a!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(b!.stalls).toBe(0);
  expect(engines.origin.counts.bytes).toBe(body.length);
  await expectNothingLeased(engines);
});

test('a stalled stream is requested again once for all its readers', async () => {
  const { engines, reader, owner, body } = twoReplicas(4 * MIB);
  owner.stalls = 2;
  const reads = Array.from({ length: 20 }, () => readsBody(reader, body));
  expect(new Set(await Promise.all(reads))).toEqual(new Set([true]));
  expect(owner.fillCalls).toBe(3);
  expect(reader.counts.fallThroughs).toEqual({ 'peer_stall/asked_again': 2 });
  expect(reader.peerBytes).toBe(body.length);
  await expectNoStreams(engines);
});

test('a stalled stream is requested again with the demand of a reader that has started', async () => {
  const stall = Promise.withResolvers<never>();
  const { streams, requests, chunk, peer } = scriptedPeer(async (_to, { range }, sink, { signal }) => {
    await copyInto(sink, patternBytes(100_000), signal);
    if (range.from === 0) await stall.promise;
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  });
  const range = { from: 0, to: chunk.lengthBytes };
  const read: ChunkRead = { chunk, range, demand: 'new', signal: new AbortController().signal, requestId: 'test' };
  const reader = await streams.join({ chunk, peer, rank: 1, reason: 'miss' }, range, read, false);
  if (reader === 'committed') throw new Error('the chunk is not committed');
  (await reader.next())?.release();
  read.demand = 'started';
  stall.reject(new OrcaError('peer_unavailable', 'no progress', { details: 'stall' }));
  await turns(3);
  expect(requests.map(({ demand, range: { from } }) => ({ demand, from }))).toEqual([
    { demand: 'new', from: 0 },
    { demand: 'started', from: 100_000 },
  ]);
  reader.close();
  expect(streams.count).toBe(0);
});

test('reports whether the bytes came from another replica’s fill or memory, or from the cachestore', async () => {
  const { engines, reader, owner } = twoReplicas(MIB);
  // A part of the chunk: the second read of a whole one brings it into this replica's memory.
  const half = readRequest('a', { range: `bytes=0-${MIB / 2}` });
  const source = async () => (await readAll(reader.engine, half)).result.source;
  expect(await source()).toBe('peer_fill');
  await owner.engine.idle();
  expect(await source()).toBe('peer');
  owner.engine.memoryTier.evict(Number.POSITIVE_INFINITY);
  reader.storeError = new OrcaError('store_unavailable', 'denied to one', { status: 403 });
  expect(await source()).toBe('peer');
  reader.storeError = undefined;
  expect(await source()).toBe('store');
  await expectNoStreams(engines);
});
