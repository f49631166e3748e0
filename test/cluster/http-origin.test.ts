/** A cache on real nodes with a plain HTTP server as its origin. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { edgeOf, metricOf, readObject } from './cache-clients.ts';
import { contentOf, FILES_PORT, fileServer } from './file-server.ts';
import { becomes, BUCKET, cache, eventually, openWorld, secret, START_MS, type World } from './operator-world.ts';

const NAME = 'files-cache';
const SECRET = 'keys';

let world: World;
let edge: string;

beforeAll(async () => {
  world = await openWorld();
  await world.apply(secret(SECRET), ...fileServer(), withHttpOrigin(cache(NAME, { secret: SECRET, replicas: 2 })));
  await becomes(() => world.condition(NAME, 'Ready'), 'True ReplicasReady', START_MS);
  edge = await edgeOf(world, NAME);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** The cache of the other tests, with another origin. */
function withHttpOrigin(manifest: object): object {
  const resource = manifest as { readonly spec: { readonly origin: object } };
  const { id } = resource.spec.origin as { readonly id: string };
  const http = {
    urls: [{ bucket: BUCKET, baseUrl: `http://files:${FILES_PORT}/models` }],
    redirectHosts: [`files-cdn:${FILES_PORT}`],
  };
  return {
    ...resource,
    spec: { ...resource.spec, origin: { id, type: 'HTTP', http, buckets: [{ name: BUCKET }] } },
  };
}

/** Origin bytes of all replicas. */
async function originBytes(): Promise<number> {
  const ips = await world.field(`pods -l app.kubernetes.io/instance=${NAME}`, '{.items[*].status.podIP}');
  const bytes = await Promise.all(ips.split(' ').map((ip) => metricOf(ip, 'orca_origin_bytes_total')));
  return bytes.reduce((sum, count) => sum + count, 0);
}

test('the origin is reported as reachable', async () => {
  await becomes(() => world.condition(NAME, 'OriginReachable'), 'True Reachable');
});

test.for(['weights-5000003', 'moved/shards-3000001'])('%s is read from the server once', async (key) => {
  const content = contentOf(key.replace('moved/', ''));
  const before = await originBytes();
  for (let read = 0; read < 3; read++) expect((await readObject(edge, key)).body.equals(content)).toBe(true);
  await eventually(async () => expect((await originBytes()) - before).toBe(content.length));
});

test('a missing file is NoSuchKey, and a list is NotImplemented', async () => {
  const missing = await fetch(`http://${edge}/${BUCKET}/no-such-file`);
  expect(missing.status).toBe(404);
  expect(await missing.text()).toContain('NoSuchKey');
  const list = await fetch(`http://${edge}/${BUCKET}?list-type=2`);
  expect(list.status).toBe(501);
  expect(await list.text()).toContain('NotImplemented');
});
