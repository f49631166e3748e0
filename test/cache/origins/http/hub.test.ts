/** The HTTP origin against a Hugging Face hub with its CDN. */
import { expect, onTestFinished, test } from 'vitest';
import type { ObjectVersion } from '#cache/core/object.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { blobHash, sha256, startHuggingFaceHub, type HuggingFaceHub } from '#test/support/huggingface-hub.ts';
import { reply } from '#test/support/scripted-server.ts';
import { openOrigin, secret, serve, signal } from './fixture.ts';

const KEY = 'org/repo/resolve/main/model.safetensors';
const body = Buffer.from(patternBytes(100_000, 3));

async function open(token?: string, sent = token): Promise<{ world: HuggingFaceHub; origin: Origin }> {
  const world = await startHuggingFaceHub(token);
  onTestFinished(() => world[Symbol.asyncDispose]());
  const origin = openOrigin(`${world.hub.endpoint}/`, {
    redirectHosts: [world.cdnHost],
    credentialsDirectory: sent === undefined ? undefined : await secret({ token: sent }),
  });
  return { world, origin };
}

async function versionOf(origin: Origin, key = KEY): Promise<ObjectVersion> {
  const { etag, sizeBytes } = await origin.head('bucket', key, { signal });
  return { originId: 'o', bucket: 'bucket', key, etag, sizeBytes };
}

async function read(origin: Origin, object: ObjectVersion, from = 10, to = 50_000): Promise<Buffer> {
  const sink = collectSink();
  await origin.read(object, { from, to }, sink, { signal });
  return sink.bytes();
}

test('the version of an LFS file is its hash and size, which the hub reports without a request to the CDN', async () => {
  const { world, origin } = await open();
  world.files.set(KEY, { body, kind: 'lfs' });
  expect(await origin.head('bucket', KEY, { signal })).toEqual({
    etag: sha256(body),
    sizeBytes: body.length,
    lastModifiedMs: 0,
    headers: {},
  });
  expect(world.hub.requests).toMatchObject([{ method: 'HEAD', target: `/${KEY}` }]);
  expect(world.cdn.requests).toEqual([]);
});

test('a read of an LFS file comes from the CDN, which gets neither the token nor the ETag of the hub', async () => {
  const { world, origin } = await open('hf_token');
  world.files.set(KEY, { body, kind: 'lfs' });
  expect((await read(origin, await versionOf(origin))).equals(body.subarray(10, 50_000))).toBe(true);
  expect(world.hub.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  expect(world.hub.requests[1]?.headers).toMatchObject({ authorization: 'Bearer hf_token', range: 'bytes=10-49999' });
  expect(world.cdn.requests).toHaveLength(1);
  expect(world.cdn.requests[0]?.headers).toMatchObject({ range: 'bytes=10-49999' });
  expect(world.cdn.requests[0]?.headers).not.toHaveProperty('authorization');
  expect(world.cdn.requests[0]?.headers).not.toHaveProperty('if-match');
});

test.for(['small', 'direct'] as const)('a %s file has the ETag of its final response', async (kind) => {
  const { world, origin } = await open('hf_token');
  world.files.set('org/repo/resolve/main/config.json', { body, kind });
  const object = await versionOf(origin, 'org/repo/resolve/main/config.json');
  expect(object).toMatchObject({ etag: blobHash(body), sizeBytes: body.length });
  expect((await read(origin, object)).equals(body.subarray(10, 50_000))).toBe(true);
  expect(world.cdn.accepted).toBe(0);
});

test.for(['lfs', 'small', 'direct'] as const)(
  'a %s file that changed after its head is object_changed',
  async (kind) => {
    const { world, origin } = await open();
    world.files.set(KEY, { body, kind });
    const object = await versionOf(origin);
    world.files.set(KEY, { body: Buffer.from(patternBytes(body.length, 4)), kind });
    const sink = collectSink();
    await expect(origin.read(object, { from: 0, to: 10 }, sink, { signal })).rejects.toMatchObject({
      code: 'object_changed',
    });
    expect(sink.lengthBytes).toBe(0);
    // The hub's redirect proves the change: the CDN gets no request.
    expect(world.cdn.accepted).toBe(0);
  },
);

test('an expired signature is origin_unavailable, and the next read gets a new one', async () => {
  const { world, origin } = await open();
  world.files.set(KEY, { body, kind: 'lfs' });
  const object = await versionOf(origin);
  world.expireNext(1);
  const error = await read(origin, object).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'origin_unavailable', status: 403 });
  expect(String(error)).not.toContain('signature');
  expect((await read(origin, object)).equals(body.subarray(10, 50_000))).toBe(true);
});

test('a CDN of another size than the linked one is object_changed', async () => {
  const { world, origin } = await open();
  world.files.set(KEY, { body, kind: 'lfs' });
  const object = await versionOf(origin);
  await expect(read(origin, { ...object, sizeBytes: object.sizeBytes + 1 })).rejects.toMatchObject({
    code: 'object_changed',
  });
});

test('a missing file is not_found; a gated repository is origin_denied with its reason', async () => {
  const { origin } = await open();
  await expect(origin.head('bucket', KEY, { signal })).rejects.toMatchObject({ code: 'not_found' });
  expect(await origin.probe('bucket', 'org/repo/resolve/main/', { signal })).toBe('reachable');
  const gated = await open('hf_token', 'hf_wrong');
  await expect(gated.origin.head('bucket', KEY, { signal })).rejects.toMatchObject({
    code: 'origin_denied',
    message: `the origin denies access to bucket/${KEY} (401 GatedRepo)`,
  });
});

test('X-Linked-ETag of another host than the origin is ignored', async () => {
  const { world } = await open();
  world.files.set(KEY, { body, kind: 'lfs' });
  const first = await serve((request, out) =>
    out.write(reply('302 Found', { location: `${world.hub.endpoint}${request.target}` })),
  );
  const redirectHosts = [new URL(world.hub.endpoint).host, world.cdnHost];
  const origin = openOrigin(`${first.endpoint}/`, { redirectHosts });
  // The ETag of the final response decides. It is read by a GET, because the CDN refuses HEAD.
  const object = await versionOf(origin);
  expect(object).toMatchObject({ etag: `${sha256(body).slice(0, 32)}-7`, sizeBytes: body.length });
  expect((await read(origin, object)).equals(body.subarray(10, 50_000))).toBe(true);
});
