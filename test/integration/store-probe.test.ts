/** The probe of the cachestore: its result, how replicas report it, and that any kind of store gets correct chunks. */
import { expect, onTestFinished, test } from 'vitest';
import { startConditionServer } from '#test/support/condition-server.ts';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256 } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  STORE_BUCKET,
  startReplicas,
  type Replicas,
  type ReplicasOptions,
} from '#test/support/replicas.ts';
import { startVersitygw } from '#test/support/versitygw.ts';

/** A probe takes one or two seconds, and longer while other replicas take their turns on a busy machine. */
const KNOWN_LIMIT_MS = 60_000;

async function start(options: ReplicasOptions): Promise<Replicas> {
  const cache = await startReplicas({ storeKnown: false, ...options });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

async function verbose(cache: Replicas, index = 0): Promise<string> {
  return (await http(cache.all[index]!.ops, '/readyz?verbose')).body.toString();
}

async function expectRead(cache: Replicas, key: string, body: Uint8Array): Promise<void> {
  const read = await http(cache.all[0]!.edge, `/${BUCKET}/${key}`);
  expect(read.status).toBe(200);
  expect(sha256(read.body)).toBe(sha256(body));
}

/** Cold reads, commits, and warm reads from the cachestore only. */
async function expectCaches(cache: Replicas): Promise<void> {
  const body = patternBytes(2 * MIB + 1);
  await cache.put('a', body);
  await expectRead(cache, 'a', body);
  await cache.idle();
  cache.forgetMemory();
  await expectRead(cache, 'a', body);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(body.length);
}

const REAL = [
  ['versitygw 1.8.0', 'atomic', () => startVersitygw({ buckets: [STORE_BUCKET] })],
  ['versitygw 1.7.0', 'racy', () => startVersitygw({ kind: 'racy', buckets: [STORE_BUCKET] })],
  ['a server that ignores the condition', 'ignored', () => startConditionServer({ kind: 'ignored' })],
  ['a server that answers 501', 'unsupported', () => startConditionServer({ kind: 'unsupported' })],
  ['a server that answers 409', 'conflicting', () => startConditionServer({ kind: 'conflicting' })],
] as const;

test.for(REAL)('%s is found to be %s: on /readyz, /status and a metric, and chunks are stored there', async (store) => {
  const [, condition, open] = store;
  await using server = await open();
  const cache = await start({ storeEndpoint: server.endpoint });
  await expect
    .poll(() => verbose(cache), { timeout: KNOWN_LIMIT_MS })
    .toContain(`[+] cachestore writes: ${condition}: `);
  const replica = cache.all[0]!;
  expect(await replica.metric('orca_store_conditional_writes', { support: condition })).toBe(1);
  expect(await replica.metric('orca_store_conditional_writes')).toBe(1);
  expect(await replica.metric('orca_store_requests_total', { operation: 'probe', outcome: condition })).toBe(1);
  const status = await http(replica.ops, '/status');
  expect(JSON.parse(status.body.toString())).toMatchObject({ store: { condition, problems: [], versioned: false } });
  const isSaid = replica.logLines.some((line) => line.includes(`cachestore: ${condition}`));
  expect(isSaid).toBe(condition !== 'atomic');
  await expectCaches(cache);
  const conditional = cache.storeProxy.passed.filter(
    ({ method, target, ifNoneMatch }) => method === 'PUT' && target.startsWith('/chunks/far/') && ifNoneMatch,
  );
  expect(conditional).toHaveLength(condition === 'atomic' ? 3 : 0);
});

test('of three replicas one probes, and the others read its verdict', async () => {
  const cache = await start({ replicas: 3 });
  await expect
    .poll(() => cache.all.filter(({ cache: { storeProbe } }) => storeProbe.condition === 'atomic').length, {
      timeout: KNOWN_LIMIT_MS,
    })
    .toBe(3);
  expect(await cache.total('orca_store_requests_total', { operation: 'probe' })).toBe(1);
  // A day has not passed for those that start now.
  await cache.restart();
  await expect.poll(() => verbose(cache)).toContain('cachestore writes: atomic');
  expect(await cache.total('orca_store_requests_total', { operation: 'probe' })).toBe(0);
});

test('a filesystem is atomic without much ado', async () => {
  const cache = await start({ store: 'Filesystem' });
  await expect.poll(() => verbose(cache), { timeout: KNOWN_LIMIT_MS }).toContain('[+] cachestore writes: atomic: ');
  await expectCaches(cache);
});

test('a versioned bucket is shown and warned of', async () => {
  await using server = await startConditionServer({ kind: 'atomic', versioning: 'Enabled' });
  const cache = await start({ storeEndpoint: server.endpoint });
  await expect.poll(() => verbose(cache), { timeout: KNOWN_LIMIT_MS }).toContain('[+] cachestore versioning: enabled');
  expect(await cache.all[0]!.metric('orca_store_versioned')).toBe(1);
  expect(cache.all[0]!.logLines.some((line) => line.includes('is versioned'))).toBe(true);
});

test('a store that is down at boot: the cache is ready without it, serves from the origin, and recovers with it', async () => {
  const cache = await start({});
  await cache.store.stop();
  await cache.restart('down');
  const replica = cache.all[0]!;
  await expect.poll(async () => (await http(replica.ops, '/readyz')).status, { timeout: 20_000 }).toBe(200);
  expect(await verbose(cache)).toContain('cachestore writes: conditional-write support has not been probed yet');
  expect(await replica.metric('orca_store_conditional_writes', { support: 'unknown' })).toBe(1);
  const body = patternBytes(2 * MIB);
  await cache.put('a', body);
  await expectRead(cache, 'a', body);
  expect(await cache.stored()).toEqual(new Map());

  await cache.store.start();
  await expect.poll(() => verbose(cache), { timeout: KNOWN_LIMIT_MS }).toContain('cachestore writes: atomic');
  await cache.idle();
  expect((await cache.stored()).size).toBe(2);
  cache.forgetMemory();
  await expectRead(cache, 'a', body);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(body.length);
});
