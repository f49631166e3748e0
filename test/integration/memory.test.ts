/** Abandoned fills, connections that close with pipelined requests, and ranges of stored chunks. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { startClient } from '#test/support/load-client.ts';
import { BUCKET, expectWhole, LONG_MS, names, startMemoryWorld } from '#test/support/memory-world.ts';
import { MIB, startReplicas } from '#test/support/replicas.ts';
import { isSynthetic } from '#test/support/synthetic-content.ts';
import { startSyntheticOrigin } from '#test/support/synthetic-s3.ts';

describe('a budget of 512 MiB, and chunks of 128 MiB', { timeout: 2 * LONG_MS }, () => {
  test('after 1 000 fills whose clients left, and connections that close on what they have pipelined, all of it is back', async () => {
    const cold = names(1_000, 2 * MIB, 'cancelled');
    const piped = names(30, 2 * MIB, 'piped');
    const world = await startMemoryWorld([...cold, ...piped]);
    const { cache, origin } = world;
    await http(cache.edge, `/${BUCKET}/none`);
    const sockets = await cache.sockets();
    const timers = await cache.metric('nodejs_active_resources', { type: 'Timeout' });
    origin.stopAfter(256 * 1024);
    // Two thirds of the origin's slots at a time; fills that have no clients any more leave them to others.
    for (let at = 0; at < cold.length; at += 125)
      await Promise.all(cold.slice(at, at + 125).map((key) => leaveAtFirstByte(cache.edge, [key])));
    await Promise.all(Array.from({ length: 20 }, (_, i) => leaveAtFirstByte(cache.edge, piped.slice(i, i + 10))));
    expect(origin.counts.reads).toBeGreaterThan(500);
    origin.stopAfter(undefined);
    await expectWhole(world);
    // A fill without clients is completed, unless others need its memory. Some requests were refused: an origin whose
    // reads all stall is down.
    const outcomes = ['cancelled', 'committed'].map((outcome) => cache.metric('orca_fills_total', { outcome }));
    const [cancelled = 0, committed = 0] = await Promise.all(outcomes);
    expect(cancelled + committed).toBeGreaterThan(500);
    await expect.poll(() => cache.sockets(), { timeout: LONG_MS, interval: 200 }).toBeLessThanOrEqual(sockets);
    expect(await cache.metric('nodejs_active_resources', { type: 'Timeout' })).toBeLessThanOrEqual(timers + 2);
    // And it works as before.
    const again = [...cold.slice(0, 50), ...piped].map((key) => startClient(cache.edge, BUCKET, key).ended);
    expect((await Promise.all(again)).filter((outcome) => outcome !== 'whole')).toEqual([]);
    await expectWhole(world);
    expect(world.store.problems).toEqual([]);
  });
});

/** Sends its requests on one connection, and disconnects at the first byte of a response. */
function leaveAtFirstByte(edge: string, keys: readonly string[]): Promise<void> {
  const { hostname, port } = new URL(edge);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(keys.map((key) => `GET /${BUCKET}/${key} HTTP/1.1\r\nHost: any\r\n\r\n`).join(''));
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

test('64 KiB of a stored chunk of 128 MiB move 64 KiB from the store', async () => {
  await using origin = await startSyntheticOrigin();
  await using cache = await startReplicas({ originEndpoint: origin.endpoint, chunkSize: '128Mi', budget: '512Mi' });
  const key = `${128 * MIB}-warm`;
  const { edge } = cache.all[0]!;
  const client = startClient(edge, BUCKET, key);
  expect([await client.ended, client.refusals]).toEqual(['whole', 0]);
  await cache.idle();
  cache.forgetMemory();
  cache.storeProxy.reset();
  for (const [round, from] of [0, 70 * MIB + 12_345, 128 * MIB - 65_536].entries()) {
    const answer = await http(edge, `/${BUCKET}/${key}`, { headers: { range: `bytes=${from}-${from + 65_535}` } });
    expect(answer.status).toBe(206);
    expect(isSynthetic(key, from, answer.body)).toBe(true);
    expect(await cache.storeProxy.counts('GET')).toEqual({ requests: round + 1, bodyBytes: (round + 1) * 65_536 });
  }
  expect(origin.counts.bytes).toBe(128 * MIB);
  await cache.expectNothingHeld();
});
