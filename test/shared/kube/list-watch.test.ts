import { describe, expect, onTestFinished, test } from 'vitest';
import { listWatch, type ListWatchOptions } from '#shared/kube/list-watch.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { openLog, silentLog } from '#shared/log.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const SLICES = '/apis/discovery.k8s.io/v1/namespaces/ml/endpointslices';

interface World {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  /** The current names according to the handlers. */
  readonly names: Set<string>;
  readonly lists: string[][];
  readonly causes: string[];
  readonly stop: AbortController;
  readonly done: Promise<void>;
  /** Requests that were lists, not watches. */
  readonly listCount: () => number;
  readonly watching: () => Promise<void>;
}

async function openWorld(
  prepare: (api: FakeApiServer) => void = () => {},
  overrides: Partial<ListWatchOptions<KubeObject>> = {},
): Promise<World> {
  const api = await openFakeApiServer();
  const clock = fakeClock();
  const stop = new AbortController();
  const names = new Set<string>();
  const lists: string[][] = [];
  const causes: string[] = [];
  prepare(api);
  const done = listWatch<KubeObject>({
    client: api.client(clock),
    path: SLICES,
    signal: stop.signal,
    clock,
    log: silentLog,
    random: () => 0.5,
    onList(items) {
      const listed = items.map((item) => item.metadata.name ?? '');
      lists.push(listed);
      names.clear();
      for (const name of listed) names.add(name);
    },
    onEvent(type, object) {
      if (type === 'DELETED') names.delete(object.metadata.name ?? '');
      else names.add(object.metadata.name ?? '');
    },
    observe: { restarted: (cause) => causes.push(cause) },
    ...overrides,
  });
  onTestFinished(async () => {
    stop.abort();
    await done;
    await api.close();
  });
  return {
    api,
    clock,
    names,
    lists,
    causes,
    stop,
    done,
    listCount: () => api.requests.filter((request) => request.query['watch'] === undefined).length,
    watching: () => expect.poll(() => api.watches.count()).toBe(1),
  };
}

describe('without failures', () => {
  test('lists, then follows every change', async () => {
    const { api, names, watching, lists } = await openWorld((api) => api.put(`${SLICES}/a`, {}));
    await watching();
    expect(lists).toEqual([['a']]);
    api.put(`${SLICES}/b`, {});
    api.delete(`${SLICES}/a`);
    await expect.poll(() => [...names]).toEqual(['b']);
  });

  test('reads all pages of a list before it delivers it', async () => {
    const { lists, watching, api } = await openWorld((api) => {
      for (let i = 0; i < 1001; i++) api.put(`${SLICES}/s${i}`, {});
    });
    await watching();
    expect(lists).toHaveLength(1);
    expect(lists[0]).toHaveLength(1001);
    expect(api.requests.filter((request) => request.query['limit'] === '500')).toHaveLength(3);
  });

  test('adds the missing kind to list items', async () => {
    const kinds: unknown[] = [];
    const { watching } = await openWorld((api) => api.put(`${SLICES}/a`, {}), {
      onList: (items) => kinds.push(...items.map((item) => [item.kind, item.apiVersion])),
    });
    await watching();
    expect(kinds).toEqual([['EndpointSlice', 'discovery.k8s.io/v1']]);
  });

  test('requests bookmarks and a bounded watch, and sends the selector with list and watch', async () => {
    const { api, watching } = await openWorld(() => {}, { query: { labelSelector: 'app=x' } });
    await watching();
    const [list, watch] = api.requests;
    expect(list?.query).toMatchObject({ labelSelector: 'app=x', limit: '500' });
    expect(watch?.query).toMatchObject({ labelSelector: 'app=x', allowWatchBookmarks: 'true', timeoutSeconds: '300' });
  });

  test('counts a resource that may be absent as empty, logs it once, and follows it once it is installed', async () => {
    const lines: string[] = [];
    let heal = (): void => {};
    const { api, clock, lists } = await openWorld(
      (api) => {
        api.put(`${SLICES}/a`, {});
        heal = api.fail({ answer: { status: 404, reason: 'NotFound' } });
      },
      { mayBeAbsent: true, log: openLog({ name: 'test', level: 'info', write: (line) => lines.push(line) }) },
    );
    await expect.poll(() => lists).toEqual([[]]);
    for (let step = 0; api.requests.length < 4 && step < 200; step++) await clock.advance(1000);
    expect(lists).toEqual([[]]);
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(['info']);
    heal();
    for (let step = 0; lists.length < 2 && step < 200; step++) await clock.advance(1000);
    expect(lists).toEqual([[], ['a']]);
  });

  test('continues from the last bookmark', async () => {
    const { api, clock, watching } = await openWorld();
    await watching();
    api.put('/api/v1/namespaces/ml/configmaps/other', {});
    const { resourceVersion } = api.get('/api/v1/namespaces/ml/configmaps/other')?.metadata ?? {};
    api.watches.bookmark();
    api.watches.end();
    await expect.poll(() => api.watches.count()).toBe(0);
    await advanceUntil(clock, () => api.watches.count() === 1);
    expect(api.requests.at(-1)?.query['resourceVersion']).toBe(resourceVersion);
  });

  test('lists again after ten minutes', async () => {
    const { api, clock, listCount, watching } = await openWorld();
    await watching();
    await clock.advance(10 * 60_000 - 1);
    api.watches.bookmark();
    expect(listCount()).toBe(1);
    // The server ends the watch at its timeout.
    await clock.advance(1);
    api.watches.end();
    await advanceUntil(clock, () => listCount() === 2);
  }, 20_000);
});

describe('after a failure', () => {
  test.for([
    ['reset', 'unreachable', (api: FakeApiServer) => api.watches.reset()],
    ['end', 'eof', (api: FakeApiServer) => api.watches.end()],
  ] as const)('a watch that ends by %s misses no event and needs no list', async ([, cause, end]) => {
    const { api, clock, names, causes, listCount, watching } = await openWorld();
    await watching();
    end(api);
    await expect.poll(() => causes).toEqual([cause]);
    api.put(`${SLICES}/gap`, {});
    await advanceUntil(clock, () => names.has('gap'));
    expect(listCount()).toBe(1);
  });

  test('410 as an ERROR event lists again', async () => {
    const { api, clock, causes, lists, watching } = await openWorld();
    await watching();
    api.put(`${SLICES}/a`, {});
    api.watches.expire();
    await expect.poll(() => causes).toEqual(['gone']);
    await advanceUntil(clock, () => lists.length === 2);
    expect(lists[1]).toEqual(['a']);
  });

  test('410 as the status of a watch lists again', async () => {
    const { api, clock, causes, lists, watching } = await openWorld();
    await watching();
    api.watches.silence(true);
    api.put(`${SLICES}/a`, {});
    api.compact();
    api.watches.silence(false);
    api.watches.reset();
    await advanceUntil(clock, () => lists.length === 2);
    expect(causes).toEqual(['unreachable', 'gone']);
    expect(lists[1]).toEqual(['a']);
  });

  test('server errors are retried with growing backoff, and the known state is kept', async () => {
    const { api, clock, names, causes, lists, watching } = await openWorld((api) => api.put(`${SLICES}/a`, {}));
    await watching();
    const heal = api.fail({ answer: { status: 500 } });
    api.watches.reset();
    await expect.poll(() => causes.length).toBe(1);
    // Half of 0.5, 1, 2 and 4 seconds.
    for (const waitMs of [250, 500, 1000, 2000]) {
      const before = causes.length;
      await expect.poll(() => clock.pending()).toBe(1);
      await clock.advance(waitMs - 1);
      expect(causes.length).toBe(before);
      await clock.advance(1);
      await expect.poll(() => causes.length).toBe(before + 1);
      expect(causes.at(-1)).toBe('status_500');
    }
    expect([...names]).toEqual(['a']);
    heal();
    await advanceUntil(clock, () => api.watches.count() === 1);
    expect(lists).toHaveLength(1);
  });

  test('a watch that lasted 5 s resets the backoff', async () => {
    const { api, clock, causes, watching } = await openWorld();
    await watching();
    // Each watch ends at once. Then the bound of the backoff is 8 s, and the wait 4 s.
    for (let ended = 1; ended <= 4; ended++) {
      api.watches.reset();
      await expect.poll(() => causes.length).toBe(ended);
      await advanceUntil(clock, () => api.watches.count() === 1);
    }
    await clock.advance(5000);
    api.watches.reset();
    await expect.poll(() => causes.length).toBe(5);
    const before = api.requests.length;
    await expect.poll(() => clock.pending()).toBe(1);
    await clock.advance(250);
    await expect.poll(() => api.requests.length).toBe(before + 1);
  });

  test('Retry-After is respected', async () => {
    const { api, clock, lists } = await openWorld((api) =>
      api.fail({ times: 1, answer: { status: 429, retryAfterSeconds: 7 } }),
    );
    await expect.poll(() => api.requests.length).toBe(1);
    await expect.poll(() => clock.pending()).toBe(1);
    await clock.advance(6999);
    expect(api.requests).toHaveLength(1);
    await clock.advance(1);
    await expect.poll(() => lists.length).toBe(1);
  });

  test('a silent watch is replaced, and no event is missed', async () => {
    const { api, clock, names, causes, watching } = await openWorld();
    await watching();
    api.watches.silence(true);
    api.put(`${SLICES}/a`, {});
    api.watches.silence(false);
    await advanceUntil(clock, () => names.has('a'), 200_000);
    expect(causes).toEqual(['silent']);
  });

  test.for([
    ['no event since its start, as of a resource that is not used, is not a failure', false],
    ['an event before the silence is a failure', true],
  ] as const)('a silent watch with %s', async ([, hasEvent]) => {
    const lines: string[] = [];
    const log = openLog({ name: 'test', level: 'info', write: (line) => lines.push(line) });
    const { api, clock, names, causes, watching } = await openWorld(undefined, { log });
    await watching();
    if (hasEvent) api.put(`${SLICES}/a`, {});
    await expect.poll(() => names.has('a')).toBe(hasEvent);
    await advanceUntil(clock, () => causes.length > 0, 200_000);
    expect(causes).toEqual(['silent']);
    expect(lines).toHaveLength(hasEvent ? 1 : 0);
  });

  test('a watch that the server does not end is closed 30 s after its timeout', async () => {
    const { api, clock, causes, watching } = await openWorld(undefined, { silenceMs: 10_000_000 });
    await watching();
    await clock.advance(329_999);
    expect(causes).toEqual([]);
    await clock.advance(1);
    await expect.poll(() => causes).toEqual(['overdue']);
    await expect.poll(() => api.watches.count()).toBe(1);
  });

  test('a handler that throws does not end the loop and sees each event once', async () => {
    const seen: string[] = [];
    const { api, clock, causes, watching } = await openWorld(undefined, {
      onEvent(type, object) {
        seen.push(`${type} ${object.metadata.name}`);
        throw new Error('a bug');
      },
    });
    await watching();
    api.put(`${SLICES}/a`, {});
    await expect.poll(() => seen).toEqual(['ADDED a']);
    api.watches.end();
    await expect.poll(() => causes).toEqual(['eof']);
    await advanceUntil(clock, () => api.watches.count() === 1);
    api.put(`${SLICES}/b`, {});
    await expect.poll(() => seen).toEqual(['ADDED a', 'ADDED b']);
  });
});

describe('after an abort', () => {
  test('ends at once, frees its connection, leaves no timer and calls no handler', async () => {
    const { api, clock, names, causes, stop, done, watching } = await openWorld();
    await watching();
    stop.abort();
    await done;
    api.put(`${SLICES}/late`, {});
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
    expect([...names]).toEqual([]);
    expect(causes).toEqual([]);
  });

  test('ends during the backoff', async () => {
    const { api, clock, stop, done } = await openWorld((api) => api.fail({ answer: { status: 500 } }));
    await expect.poll(() => api.requests.length).toBe(1);
    await expect.poll(() => clock.pending()).toBe(1);
    stop.abort();
    await done;
    expect(clock.pending()).toBe(0);
  });
});

/** Advances the clock in small steps, with real I/O between them, until the condition holds. */
async function advanceUntil(clock: FakeClock, condition: () => boolean, limitMs = 60_000): Promise<void> {
  for (let advancedMs = 0; advancedMs < limitMs; advancedMs += 250) {
    if (condition()) return;
    await clock.advance(250);
  }
  await expect.poll(condition).toBe(true);
}
