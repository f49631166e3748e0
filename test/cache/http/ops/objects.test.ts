/** `/objects`: two real engines over a fake origin and a fake store. */
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { objectsHandler } from '#cache/http/ops/objects.ts';
import { readsHandler } from '#cache/http/ops/reads.ts';
import { systemClock } from '#shared/clock.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

function open(chunkBytes = MIB) {
  const { origin, store, replicas, settings } = openEngines({ replicas: 2, chunkBytes });
  const apps = replicas.map(({ engine, view }) => {
    const app = new Hono();
    const handler = objectsHandler({
      engine,
      peers: { current: () => view },
      originId: 'test',
      buckets: new BucketTable(settings.origin.buckets),
      chunking: settings.chunking,
      pinOwner: (pin) => (pin === 'ours-1' ? { prewarm: 'ours', uid: 'u' } : undefined),
      clock: systemClock,
    });
    app.get('/objects', handler);
    app.get('/reads', readsHandler({ engine }));
    return app;
  });
  const ask = async (replica: number, query: Readonly<Record<string, string>>, path = '/objects') => {
    const response = await apps[replica]!.request(`${path}?${new URLSearchParams(query).toString()}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const read = async (key: string, range?: string) => {
    const { engine } = replicas[0]!;
    await readAll(engine, readRequest(key, { range }));
    await Promise.all(replicas.map((replica) => replica.engine.idle()));
    await expect.poll(() => replicas.every((replica) => replica.engine.outbox.count === 0)).toBe(true);
  };
  return { origin, store, replicas, ask, read };
}

const chunksOf = (body: Record<string, unknown>) => body['chunks'] as Record<string, unknown>[];

test('an object that was never read: nothing stored, and one HEAD at the origin', async () => {
  const { origin, ask } = open();
  origin.put('far-models', 'a/b.bin', patternBytes(2.5 * MIB, 1));
  const { status, body } = await ask(0, { bucket: 'models', key: 'a/b.bin' });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    sizeBytes: 2.5 * MIB,
    chunkSizeBytes: MIB,
    chunkCount: 3,
    storedBytes: 0,
    metadata: { known: false, stale: false },
    problems: [],
    origin: { id: 'test', bucket: 'far-models', key: 'a/b.bin' },
  });
  expect(chunksOf(body)).toMatchObject([0, 1, 2].map((index) => ({ index, stored: false, inMemory: false })));
  expect(origin.counts).toMatchObject({ heads: 1, reads: 0 });
  expect((await ask(0, { bucket: 'models', key: 'a/b.bin' })).body).toMatchObject({ metadata: { known: true } });
  expect(origin.counts.heads).toBe(1);
});

test('chunks that were read are stored, and in memory where they were filled', async () => {
  const { origin, ask, read } = open();
  origin.put('far-models', 'big', patternBytes(6 * MIB, 1));
  await read('big', `bytes=0-${3 * MIB - 1}`);
  const [first, second] = [
    await ask(0, { bucket: 'models', key: 'big' }),
    await ask(1, { bucket: 'models', key: 'big' }),
  ];
  expect(chunksOf(first.body).map(({ stored }) => stored)).toEqual([true, true, true, false, false, false]);
  expect(first.body['storedBytes']).toBe(3 * MIB);
  const coordinators = chunksOf(first.body).map(({ coordinator }) => coordinator);
  expect(chunksOf(second.body).map(({ coordinator }) => coordinator)).toEqual(coordinators);
  for (const index of [0, 1, 2]) {
    const at = coordinators[index] === '10.0.0.1:8444' ? first : second;
    expect(chunksOf(at.body)[index]).toMatchObject({ inMemory: true, filling: false });
  }
});

test('a range, pages of chunks, and memory alone', async () => {
  const { origin, store, ask } = open(4_096);
  origin.put('far-models', 'wide', patternBytes(260 * 4_096, 1));
  const first = await ask(0, { bucket: 'models', key: 'wide' });
  expect(chunksOf(first.body)).toHaveLength(256);
  expect(first.body['next']).toBe(256);
  const second = await ask(0, { bucket: 'models', key: 'wide', skip: '256', stored: 'false' });
  expect(chunksOf(second.body).map(({ index }) => index)).toEqual(Array.from({ length: 4 }, (_, at) => 256 + at));
  expect(second.body).not.toHaveProperty('next');
  const { lists } = store.counts;
  const ranged = await ask(0, { bucket: 'models', key: 'wide', range: 'bytes=4096-4096', stored: 'false' });
  expect(chunksOf(ranged.body)).toMatchObject([{ index: 1, stored: null }]);
  expect(store.counts.lists).toBe(lists);
});

test('a cachestore that cannot list: the chunks are shown without it, and the reason', async () => {
  const { origin, store, ask } = open();
  origin.put('far-models', 'a', patternBytes(10, 1));
  store.inject({ on: 'list', error: new OrcaError('store_unavailable', 'listing is denied', { status: 403 }) });
  const { status, body } = await ask(0, { bucket: 'models', key: 'a' });
  expect([status, body['problems']]).toEqual([200, ['listing is denied']]);
  expect(chunksOf(body)).toMatchObject([{ stored: null }]);
});

test('a stored chunk of another length does not count as stored', async () => {
  const { origin, store, ask, read } = open();
  origin.put('far-models', 'a', patternBytes(10, 1));
  await read('a');
  const [path] = store.paths();
  store.truncate(path!, 5);
  expect(chunksOf((await ask(0, { bucket: 'models', key: 'a' })).body)).toMatchObject([
    { stored: false, storedBytes: 5 },
  ]);
});

test('a page of a bucket shows how much of each object is stored', async () => {
  const { origin, ask, read } = open();
  for (const key of ['d/1', 'd/2', 'd/sub/3', 'other']) origin.put('far-models', key, patternBytes(1.5 * MIB, 1));
  await read('d/2');
  const { body } = await ask(0, { bucket: 'models', prefix: 'd/', delimiter: '/' });
  expect(body['items']).toMatchObject([
    { key: 'd/1', sizeBytes: 1.5 * MIB, chunkCount: 2, storedBytes: 0, storedChunks: 0 },
    { key: 'd/2', sizeBytes: 1.5 * MIB, chunkCount: 2, storedBytes: 1.5 * MIB, storedChunks: 2 },
    { prefix: 'd/sub/' },
  ]);
  const page = await ask(0, { bucket: 'models', limit: '2', stored: 'false' });
  expect(page.body).toMatchObject({ next: 'd/2', items: [{ key: 'd/1' }, { key: 'd/2' }] });
  const rest = await ask(0, { bucket: 'models', limit: '2', after: 'd/2', stored: 'false' });
  expect(rest.body).toMatchObject({ items: [{ key: 'd/sub/3' }, { key: 'other' }] });
  expect(rest.body).not.toHaveProperty('next');
});

test.for([
  [{ key: 'a' }, 400, 'bad_request'],
  [{ bucket: 'others', key: 'a' }, 404, 'bucket_not_found'],
  [{ bucket: 'models', key: 'absent' }, 404, 'not_found'],
  [{ bucket: 'models', key: 'a', skip: '-1' }, 400, 'bad_request'],
  [{ bucket: 'models', prefix: '', limit: 'many' }, 400, 'bad_request'],
  [{ bucket: 'models', key: 'a', range: 'bytes=100-' }, 416, 'range_not_satisfiable'],
] as const)('a refused request is a Kubernetes Status: %o', async ([query, status, reason]) => {
  const { origin, ask } = open();
  origin.put('far-models', 'a', patternBytes(10, 1));
  const answer = await ask(0, query);
  expect(answer).toMatchObject({ status, body: { kind: 'Status', status: 'Failure', reason, code: status } });
});

test('pins and last reads are looked up on request, and by version on each replica', async () => {
  const { origin, replicas, ask, read } = open();
  origin.put('far-models', 'a', patternBytes(2 * MIB, 1));
  origin.put('far-models', 'b', patternBytes(MIB, 2));
  await read('a');
  const list = async (more: Readonly<Record<string, string>> = {}) =>
    (await ask(0, { bucket: 'models', ...more })).body['items'] as Record<string, string>[];
  const [a, b] = await list();
  expect(a).toMatchObject({ chunkCount: 2, version: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(a).not.toHaveProperty('pins');
  const { pins } = replicas[0]!.engine.capacity;
  const versions = [{ versionHex: a!['version']!, sizeBytes: 1 }];
  const { signal } = new AbortController();
  await pins.put({ name: 'ours-1', expiresMs: null, versions }, signal);
  await pins.put({ name: 'theirs', expiresMs: null, versions }, signal);
  await pins.put({ name: 'over', expiresMs: 1, versions }, signal);
  expect(await list({ use: 'true' })).toMatchObject([{ pins: ['ours', 'theirs'] }, { pins: [] }]);
  const reads = await ask(0, { versions: `${a!['version']}.2,${b!['version']}.1` }, '/reads');
  expect(reads).toEqual({ status: 200, body: { lastReadMs: [null, null] } });
  const tooMany = Array.from({ length: 51 }, () => `${a!['version']}.2`).join(',');
  for (const versions of ['', 'x', `${a!['version']}`, `${a!['version']}.-1`, tooMany])
    expect(await ask(0, { versions }, '/reads')).toMatchObject({ status: 400, body: { reason: 'bad_request' } });
});
