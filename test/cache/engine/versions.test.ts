/** Reads of versions by their IDs. */
import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, type EnginesOptions } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { twoReplicas } from '#test/support/two-replicas.ts';

const BUCKET = 'far-models';
const DAY_MS = 24 * 3_600_000;

/** An engine over a bucket that keeps versions: `object` has an older one and a current one. */
function openVersioned(options: EnginesOptions = {}) {
  const engines = openEngines(options);
  const { origin, replicas } = engines;
  const { engine, counts } = replicas[0]!;
  origin.versions.set(BUCKET, 'Enabled');
  const put = (key: string, body: Uint8Array | string) => origin.put(BUCKET, key, body).headers['x-amz-version-id']!;
  const read = async (key: string, versionId?: string) =>
    (await readAll(engine, readRequest(key, { versionId }))).bytes.toString('latin1');
  return { engines, origin, engine, counts, put, read };
}

test('each version is read by its ID, and the current one without', async () => {
  const { put, read } = openVersioned();
  const [first, second] = [put('object', 'one'), put('object', 'two!')];
  expect([await read('object', first), await read('object', second), await read('object')]).toEqual([
    'one',
    'two!',
    'two!',
  ]);
});

test('a version that was read once costs the origin nothing for a day, also when its key has other content', async () => {
  const clock = fakeClock();
  const { origin, put, read } = openVersioned({ clock });
  const first = put('object', 'one');
  await read('object', first);
  put('object', 'two!');
  const before = { ...origin.counts };
  await clock.advance(DAY_MS - 1);
  expect(await read('object', first)).toBe('one');
  expect(origin.counts).toEqual(before);
});

test('the null version, which can be overwritten, is revalidated like the current one', async () => {
  const clock = fakeClock();
  const { origin, put, read } = openVersioned({ clock });
  origin.versions.set(BUCKET, 'Suspended');
  put('object', 'one');
  expect(await read('object', 'null')).toBe('one');
  put('object', 'two!');
  await clock.advance(DAY_MS);
  expect(await read('object', 'null')).toBe('two!');
});

test('the null version is not the current one', async () => {
  const { origin, engine, put, read } = openVersioned();
  put('object', 'one');
  await expect(engine.read(readRequest('object', { versionId: 'null' }))).rejects.toMatchObject({
    code: 'version_not_found',
  });
  origin.versions.set(BUCKET, 'Suspended');
  put('other', 'without a version');
  origin.versions.set(BUCKET, 'Enabled');
  put('other', 'two!');
  expect([await read('other', 'null'), await read('other')]).toEqual(['without a version', 'two!']);
});

test('versions with the same content share their chunks', async () => {
  const { origin, engine, put, read } = openVersioned();
  const content = patternBytes(2 * MIB + 5);
  const [first, , third] = [put('object', content), put('object', 'two!'), put('object', content)];
  await read('object', third);
  await engine.idle();
  const { reads } = origin.counts;
  expect(await read('object', first)).toBe(Buffer.from(content).toString('latin1'));
  expect(origin.counts.reads).toBe(reads);
});

test('a reader of a version joins a fill of the current one, which continues when the key is overwritten', async () => {
  const { origin, engine, put } = openVersioned();
  const content = patternBytes(MIB);
  const first = put('object', content);
  origin.readGate.hold();
  const reads = [undefined, first].map((versionId) => readAll(engine, readRequest('object', { versionId })));
  await origin.readGate.reached();
  await expect.poll(() => origin.counts.heads).toBe(2);
  await new Promise((resolve) => setImmediate(resolve));
  put('object', 'two!');
  origin.readGate.release();
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(content)).toBe(true);
  expect(origin.counts.bytes).toBe(MIB);
});

test('ranges and preconditions are those of the version', async () => {
  const { engine, put, origin } = openVersioned();
  const first = put('object', 'the first content');
  put('object', 'two!');
  const { etag } = await origin.head(BUCKET, 'object', { signal: new AbortController().signal }, first);
  const { result, bytes } = await readAll(
    engine,
    readRequest('object', { versionId: first, range: 'bytes=-7', conditions: { ifMatch: `"${etag}"` } }),
  );
  expect([result.status, String(bytes)]).toEqual([206, 'content']);
  const matching = readRequest('object', { versionId: first, conditions: { ifNoneMatch: `"${etag}"` } });
  expect((await engine.read(matching)).status).toBe(304);
  const { heads } = origin.counts;
  await expect(
    engine.read(readRequest('object', { versionId: first, conditions: { ifMatch: '"other"' } })),
  ).rejects.toMatchObject({ code: 'precondition_failed' });
  expect(origin.counts.heads).toBe(heads);
});

test('a part of a version is that of the version', async () => {
  const { engine, put } = openVersioned();
  const first = put('object', 'the first content');
  put('object', 'two!');
  const { result, bytes } = await readAll(engine, readRequest('object', { versionId: first, part: 1 }));
  expect([result.status, String(bytes)]).toEqual([206, 'the first content']);
});

test.for([
  ['a delete marker', 'delete_marker'],
  ['an ID that was never assigned', 'version_not_found'],
  ['an ID that none can have', 'version_invalid'],
] as const)('%s is refused as such, with one request to the origin', async ([, code]) => {
  const { origin, engine, put } = openVersioned();
  put('object', 'one');
  const marker = origin.remove(BUCKET, 'object');
  const versionId = { delete_marker: marker, version_not_found: 'v999', version_invalid: 'nonsense' }[code];
  for (let attempt = 1; attempt <= 2; attempt++)
    await expect(engine.read(readRequest('object', { versionId }))).rejects.toMatchObject({
      code,
      ...(code === 'delete_marker' && {
        headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker },
      }),
    });
  expect(origin.counts.heads).toBe(1);
});

test('a deleted object is answered with the headers of its delete marker, and its versions are still read', async () => {
  const { origin, engine, put, read } = openVersioned();
  const first = put('object', 'one');
  const marker = origin.remove(BUCKET, 'object');
  await expect(engine.read(readRequest('object'))).rejects.toMatchObject({
    code: 'not_found',
    headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker },
  });
  expect(await read('object', first)).toBe('one');
});

test('a purge of the key forgets its versions too, also one that is being looked up', async () => {
  const { origin, engine, put, read } = openVersioned();
  const [first, second] = [put('object', 'one'), put('object', 'two!')];
  await read('object', first);
  origin.headGate.hold();
  const looking = engine.read(readRequest('object', { versionId: second, headOnly: true }));
  await origin.headGate.reached();
  engine.purge({ bucket: 'models', key: 'object' });
  origin.headGate.release();
  await looking;
  for (const versionId of [first, second]) origin.versions.erase(BUCKET, 'object', versionId);
  for (const versionId of [first, second])
    await expect(engine.read(readRequest('object', { versionId, headOnly: true }))).rejects.toMatchObject({
      code: 'version_not_found',
    });
});

test('a version that is missing when its bytes are read is looked up again by the next read', async () => {
  const { origin, engine, put } = openVersioned();
  const first = put('object', 'one');
  await engine.read(readRequest('object', { versionId: first, headOnly: true }));
  origin.versions.erase(BUCKET, 'object', first);
  for (let attempt = 1; attempt <= 2; attempt++)
    await expect(readAll(engine, readRequest('object', { versionId: first }))).rejects.toMatchObject({
      code: 'version_not_found',
    });
  expect(origin.counts.heads).toBe(2);
});

test('an archived version is revalidated like other objects: clients wait for the end of its restore', async () => {
  const clock = fakeClock();
  const { origin, engine } = openVersioned({ clock });
  const headers = { 'x-amz-storage-class': 'GLACIER', 'x-amz-restore': 'ongoing-request="true"' };
  const { headers: stored } = origin.put(BUCKET, 'object', 'one', { headers });
  const head = readRequest('object', { versionId: stored['x-amz-version-id'], headOnly: true });
  await engine.read(head);
  await clock.advance(300_000 - 1);
  await engine.read(head);
  expect(origin.counts.heads).toBe(1);
  await clock.advance(2);
  await engine.read(head);
  expect(origin.counts.heads).toBe(2);
});

test('a version comes from the replica that coordinates its chunk, and is looked up once for both', async () => {
  const { engines, reader, owner, body } = twoReplicas(MIB);
  const { origin } = engines;
  origin.versions.set(BUCKET, 'Enabled');
  const first = origin.put(BUCKET, 'object', body).headers['x-amz-version-id'];
  origin.put(BUCKET, 'object', 'two!');
  const request = readRequest('object', { versionId: first });
  expect((await readAll(reader.engine, request)).bytes.equals(body)).toBe(true);
  expect(owner.fillCalls).toBe(1);
  expect((await readAll(owner.engine, request)).bytes.equals(body)).toBe(true);
  expect(origin.counts).toMatchObject({ heads: 1, reads: 1 });
});

test('while other replicas do not know versions yet, a replica reads them from the origin', async () => {
  const { engines, reader, owner, body } = twoReplicas(MIB);
  const { origin } = engines;
  origin.versions.set(BUCKET, 'Enabled');
  const first = origin.put(BUCKET, 'object', body).headers['x-amz-version-id'];
  origin.put(BUCKET, 'object', 'two!');
  // It answers 400 to the unknown parameter, which is like no answer.
  owner.dead = true;
  const request = readRequest('object', { versionId: first });
  expect((await readAll(reader.engine, request)).bytes.equals(body)).toBe(true);
  expect(owner.fillCalls).toBe(0);
});

test('a version that was read before is served while the origin is down', async () => {
  const { origin, put, read } = openVersioned();
  const first = put('object', 'one');
  await read('object', first);
  origin.inject({ on: 'head', times: 100, what: new OrcaError('origin_unavailable', 'down') });
  origin.inject({ on: 'read', times: 100, what: new OrcaError('origin_unavailable', 'down') });
  expect(await read('object', first)).toBe('one');
});
