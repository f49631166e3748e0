/** A bounded cachestore on real nodes: what `kubectl get` shows, and a capacity that changes while clients read. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { edgeOf, metricOf, putObject, readObject } from './cache-clients.ts';
import { becomes, cache, eventually, openWorld, secret, START_MS, type World } from './operator-world.ts';

const MIB = 1024 * 1024;
const NAME = 'bounded';
const INTERVAL_MS = 30_000;
const SETTINGS = { capacity: '64Mi', minAge: '10s', sweepInterval: '30s' };
const LOWERED_MIB = 20;
const HIGH_WATERMARK = 0.9;
/** Kubelets update the files of a ConfigMap about once a minute. */
const ROLLED_OUT_MS = 180_000;
/** The pods report, and the operator looks at them. */
const SHOWN_MS = 120_000;

let world: World;
let edge: string;
const objects = new Map<string, Buffer>();

beforeAll(async () => {
  world = await openWorld();
  for (let i = 0; i < 10; i++) objects.set(`object-${i}`, randomBytes(4 * MIB));
  for (const [key, body] of objects) await putObject(world, key, body);
  await world.apply(secret('keys'), cache(NAME, { secret: 'keys', cacheStore: SETTINGS }));
  await becomes(() => world.condition(NAME, 'Ready'), 'True ReplicasReady', START_MS);
  edge = await edgeOf(world, NAME);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const PODS = `pods -l app.kubernetes.io/instance=${NAME}`;

async function expectRead(): Promise<void> {
  for (const [key, body] of objects) expect((await readObject(edge, key)).body.equals(body)).toBe(true);
}

/** One value for each pod. */
async function metricsOf(name: string): Promise<number[]> {
  const ips = await world.field(PODS, '{.items[*].status.podIP}');
  return Promise.all(ips.split(' ').map((ip) => metricOf(ip, name)));
}

/** The files in the S3 server. */
async function storedBytes(): Promise<number> {
  const list = ['find', `/data/orca-chunks/${NAME}`, '-type', 'f', '-exec', 'stat', '-c', '%s', '{}', '+'];
  const sizes = await world.kubectl(['exec', 's3', '--', ...list]);
  return sizes.split('\n').reduce((sum, size) => sum + Number(size), 0);
}

test('kubectl get shows what the cachestore holds, and its capacity', async () => {
  await expectRead();
  await eventually(async () => expect(await storedBytes()).toBe(10 * 4 * MIB));
  await eventually(async () => {
    for (const bytes of await metricsOf('orca_store_used_bytes')) expect(bytes).toBe(10 * 4 * MIB);
  }, SHOWN_MS);
  // Written every five minutes at most: the figure may be from the time before the reads.
  await eventually(async () => {
    const [header = '', row = ''] = (await world.kubectl(['get', 'orca', NAME])).split('\n');
    expect(header).toMatch(/\bUSED\b/);
    expect(row).toMatch(/ \d[.\d]*(Mi)?\/64Mi /);
  }, SHOWN_MS);
  expect(await world.condition(NAME, 'CacheStoreReady')).toMatch(/^True /);
});

test('the cachestore follows a lowered capacity within two intervals, without a restart', async () => {
  const running = '{.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}';
  const before = await world.field(PODS, running);
  const patch = JSON.stringify({ spec: { cacheStore: { capacity: `${LOWERED_MIB}Mi` } } });
  await world.kubectl(['patch', 'orcacache', NAME, '--type=merge', '-p', patch]);
  await eventually(async () => {
    for (const bytes of await metricsOf('orca_store_capacity_bytes')) expect(bytes).toBe(LOWERED_MIB * MIB);
  }, ROLLED_OUT_MS);
  await eventually(
    async () => expect(await storedBytes()).toBeLessThanOrEqual(LOWERED_MIB * HIGH_WATERMARK * MIB),
    2 * INTERVAL_MS,
  );
  // It holds while what was evicted is read again.
  await expectRead();
  await eventually(
    async () => expect(await storedBytes()).toBeLessThanOrEqual(LOWERED_MIB * HIGH_WATERMARK * MIB),
    2 * INTERVAL_MS,
  );
  await eventually(
    async () => expect(await world.kubectl(['get', 'orca', NAME])).toMatch(/ \d[.\d]*Mi\/20Mi /),
    SHOWN_MS,
  );
  expect(await world.field(PODS, running)).toBe(before);
});
