/**
 * The byte budget of a real process, seen from outside: how much is ever resident, and that all of it comes back. Origin
 * and store have no disk; every byte that a client or the store gets is compared.
 */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startCacheProcess, type CacheProcess } from '#test/support/cache-process.ts';
import { http } from '#test/support/http.ts';
import { MIB, startReplicas } from '#test/support/replicas.ts';
import { isSynthetic, syntheticObject } from '#test/support/synthetic-content.ts';
import {
  startSyntheticOrigin,
  startSyntheticStore,
  type SyntheticOrigin,
  type SyntheticStore,
} from '#test/support/synthetic-s3.ts';
import { until } from '#test/support/until.ts';

const BUCKET = 'models';
const ORIGIN_ID = 'far';
const BUDGET_BYTES = 512 * MIB;
/** A busy machine is slow, not wrong. */
const LONG_MS = 200_000;

interface World {
  readonly origin: SyntheticOrigin;
  readonly store: SyntheticStore;
  readonly cache: CacheProcess;
}

async function start(keys: readonly string[]): Promise<World> {
  const parts = new AsyncDisposableStack();
  onTestFinished(() => parts.disposeAsync());
  const origin = parts.use(await startSyntheticOrigin());
  const store = parts.use(await startSyntheticStore());
  store.expect({ originId: ORIGIN_ID, bucket: BUCKET }, keys, 128 * MIB);
  const cache = parts.use(
    await startCacheProcess({
      originEndpoint: origin.endpoint,
      storeEndpoint: store.endpoint,
      originId: ORIGIN_ID,
      bucket: BUCKET,
      chunkSize: '128Mi',
      budget: String(BUDGET_BYTES),
    }),
  );
  return { origin, store, cache };
}

const names = (count: number, sizeBytes: number, what: string) =>
  Array.from({ length: count }, (_, index) => `${sizeBytes}-${what}-${index}`);

interface Download {
  readonly outcome: 'whole' | 'wrong' | 'broken' | number;
  readonly refusals: number;
}

/** One object, asked for again as often as the cache says "later"; every byte is compared as it comes. */
async function download(edge: string, key: string): Promise<Download> {
  for (let refusals = 0; ; refusals++) {
    const { status, outcome, retryAfterS } = await attempt(edge, key);
    if (status !== 503 || retryAfterS === undefined) return { outcome, refusals };
    await new Promise((resolve) => setTimeout(resolve, retryAfterS * 1000));
  }
}

function attempt(
  edge: string,
  key: string,
): Promise<{ status: number; outcome: Download['outcome']; retryAfterS: number | undefined }> {
  const { hostname, port } = new URL(edge);
  return new Promise((resolve) => {
    const request = httpRequest({ host: hostname, port, path: `/${BUCKET}/${key}`, agent: false });
    request.once('error', () => resolve({ status: 0, outcome: 'broken', retryAfterS: undefined }));
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      const end = (outcome: Download['outcome']) => {
        const after = response.headers['retry-after'];
        resolve({ status, outcome, retryAfterS: after === undefined ? undefined : Number(after) });
      };
      let at = 0;
      response.on('data', (bytes: Buffer) => {
        if (status === 200 && !isSynthetic(key, at, bytes)) {
          end('wrong');
          response.destroy();
        }
        at += bytes.length;
      });
      response.once('error', () => end('broken'));
      response.once('end', () =>
        end(status !== 200 ? status : at === syntheticObject(key)?.sizeBytes ? 'whole' : 'broken'),
      );
    });
    request.end();
  });
}

/** With nobody asking any more: nothing is held but the memory tier, nothing is under way. */
async function expectWhole({ cache }: World): Promise<void> {
  const rest = async () => {
    const used = await Promise.all(['window', 'fill'].map((share) => cache.metric(`orca_memory_${share}_bytes`)));
    return {
      heldBytes: used.reduce((sum, bytes) => sum + bytes, 0) - (await cache.metric('orca_memory_tier_bytes')),
      waiting: (await cache.metric('orca_memory_waiting_new')) + (await cache.metric('orca_memory_waiting_started')),
      flights: await cache.metric('orca_flights'),
      running: await cache.metric('orca_origin_running'),
      commits: await cache.metric('orca_outbox_commits'),
    };
  };
  await expect
    .poll(rest, { timeout: LONG_MS, interval: 200 })
    .toEqual({ heldBytes: 0, waiting: 0, flights: 0, running: 0, commits: 0 });
}

describe('a budget of 512 MiB, and chunks of 128 MiB', { timeout: 2 * LONG_MS }, () => {
  test('after 1 000 cancelled fills, and connections that close on what they have pipelined, all of it is back', async () => {
    const cold = names(1_000, 2 * MIB, 'cancelled');
    const piped = names(30, 2 * MIB, 'piped');
    const world = await start([...cold, ...piped]);
    const { cache, origin } = world;
    await http(cache.edge, `/${BUCKET}/none`);
    const sockets = await cache.sockets();
    const timers = await cache.metric('nodejs_active_resources', { type: 'Timeout' });
    origin.stopAfter(256 * 1024);
    // Two thirds of the origin's slots at a time; each is free again once its fill is given up.
    for (let at = 0; at < cold.length; at += 125)
      await Promise.all(cold.slice(at, at + 125).map((key) => leaveAtFirstByte(cache.edge, key)));
    await Promise.all(Array.from({ length: 20 }, (_, i) => leavePipelined(cache.edge, piped.slice(i, i + 10))));
    await until(() => origin.counts.reads >= 1_000, 'every fill was begun', LONG_MS);
    await expectWhole(world);
    expect(await cache.metric('orca_fills_total', { outcome: 'cancelled' })).toBeGreaterThanOrEqual(1_000);
    await expect.poll(() => cache.sockets(), { timeout: LONG_MS, interval: 200 }).toBeLessThanOrEqual(sockets);
    expect(await cache.metric('nodejs_active_resources', { type: 'Timeout' })).toBeLessThanOrEqual(timers + 2);
    // And it works as before.
    origin.stopAfter(undefined);
    const again = await Promise.all([...cold.slice(0, 50), ...piped].map((key) => download(cache.edge, key)));
    expect(again.filter(({ outcome }) => outcome !== 'whole')).toEqual([]);
    await expectWhole(world);
    expect(world.store.mistakes).toEqual([]);
  });
});

/** Asks, and goes as soon as something comes. */
function leaveAtFirstByte(edge: string, key: string): Promise<void> {
  const { hostname, port } = new URL(edge);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(`GET /${BUCKET}/${key} HTTP/1.1\r\nHost: any\r\n\r\n`);
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

/** Sends many requests on one connection, and goes while the first is being answered. */
function leavePipelined(edge: string, keys: readonly string[]): Promise<void> {
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
  expect((await attempt(edge, key)).outcome).toBe('whole');
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
