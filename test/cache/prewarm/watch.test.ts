import { afterEach, describe, expect, it } from 'vitest';
import { wantedRun, type PrewarmResource } from '#cache/prewarm/resource.ts';
import { watchPrewarms } from '#cache/prewarm/watch.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';

const COLLECTION = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function watching(prepare: (api: FakeApiServer) => void = () => {}) {
  const api = await openFakeApiServer({ kinds: { orcaprewarms: 'OrcaPrewarm' } });
  prepare(api);
  const seen = { names: [] as string[], all: [] as string[][], deleted: [] as string[], isComplete: false };
  const stop = new AbortController();
  const done = watchPrewarms(
    {
      client: api.client(),
      namespace: 'ml',
      cache: 'models',
      clock: systemClock,
      log: openLog({ name: 'test', level: 'error', write: () => {} }),
      random: () => 0,
      onChange(resources) {
        seen.names = [...resources.values()].map(({ metadata }) => metadata.name ?? '');
        seen.all.push(seen.names);
      },
      onComplete: (isComplete) => (seen.isComplete = isComplete),
      onDeleted: (uid) => seen.deleted.push(uid),
    },
    stop.signal,
  );
  closing.push(async () => {
    stop.abort(new Error('over'));
    await done;
    await api.close();
  });
  return { api, seen };
}

function put(api: FakeApiServer, name: string, cache = 'models'): string {
  const { metadata } = api.put(`${COLLECTION}/${name}`, {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaPrewarm',
    metadata: { name, namespace: 'ml' },
    spec: { cacheRef: { name: cache }, targets: [{ bucket: 'models' }] },
  });
  return metadata.uid ?? '';
}

describe('the watch of prewarms', () => {
  it('sees those of its own cache, their changes and their deletion', async () => {
    const { api, seen } = await watching((server) => void put(server, 'first'));
    await expect.poll(() => seen.names).toEqual(['first']);
    put(api, 'foreign', 'other');
    const uid = put(api, 'second');
    await expect.poll(() => seen.names).toEqual(['first', 'second']);
    api.delete(`${COLLECTION}/second`);
    await expect.poll(() => seen.deleted).toEqual([uid]);
    expect(seen).toMatchObject({ names: ['first'], isComplete: true });
  });

  it('notices deletions that it missed', async () => {
    let uid = '';
    const { api, seen } = await watching((server) => (uid = put(server, 'first')));
    await expect.poll(() => seen.names).toEqual(['first']);
    api.watches.silence(true);
    api.delete(`${COLLECTION}/first`);
    api.compact();
    api.watches.silence(false);
    api.watches.expire();
    await expect.poll(() => seen.deleted).toEqual([uid]);
  });

  it('does not take a resource that is not installed for deleted prewarms', async () => {
    const { api, seen } = await watching((server) => void put(server, 'first'));
    await expect.poll(() => seen.names).toEqual(['first']);
    api.fail({ path: /orcaprewarms$/, answer: { status: 404 }, times: 2 });
    api.compact();
    api.watches.expire();
    // The next list may follow before a poll sees it empty.
    await expect.poll(() => seen.all).toContainEqual([]);
    await expect.poll(() => seen.names).toEqual(['first']);
    expect(seen).toMatchObject({ isComplete: true, deleted: [] });
  });
});

describe('the wanted run', () => {
  const resource = (spec: object = {}, status: object = { activeRun: 3 }, metadata: object = {}): PrewarmResource => ({
    metadata: { uid: 'u', name: 'llama', ...metadata },
    spec: { cacheRef: { name: 'models' }, targets: [{ bucket: 'b' }], ...spec },
    status,
  });

  it('is the active one', () => {
    expect(wantedRun(resource())).toEqual({
      uid: 'u',
      name: 'llama',
      run: 3,
      targets: [{ kind: 'prefix', bucket: 'b', prefix: '', include: [], exclude: [] }],
      maxBytesPerSecond: undefined,
      parallelism: 32,
      pin: undefined,
    });
    expect(
      wantedRun(
        resource({
          maxBytesPerSecond: '500Mi',
          parallelism: 5000,
          pin: { ttl: '168h' },
          targets: [
            { bucket: 'b', prefix: 'p/', include: ['*.bin'], exclude: ['x*'] },
            { bucket: 'b', manifest: { bucket: 'l', key: 'k' } },
            { bucket: 'b', keysFrom: { configMapRef: { name: 'n', key: 'k' } } },
          ],
        }),
      ),
    ).toMatchObject({
      maxBytesPerSecond: 500 * 1024 * 1024,
      parallelism: 1024,
      pin: { ttlMs: 168 * 3_600_000 },
      targets: [
        { kind: 'prefix', prefix: 'p/', include: ['*.bin'], exclude: ['x*'] },
        { kind: 'manifest', manifest: { bucket: 'l', key: 'k' } },
        { kind: 'keys', configMap: { name: 'n', key: 'k' } },
      ],
    });
    expect(wantedRun(resource({ pin: {} }))?.pin).toEqual({ ttlMs: undefined });
  });

  it('does not exist while the resource is suspended, has no active run, or is deleted', () => {
    expect(wantedRun(resource({ suspend: true }))).toBeUndefined();
    expect(wantedRun(resource({}, {}))).toBeUndefined();
    expect(wantedRun(resource({}, { activeRun: 1 }, { deletionTimestamp: '2026-01-01T00:00:00Z' }))).toBeUndefined();
    expect(wantedRun({ metadata: {} })).toBeUndefined();
  });
});
