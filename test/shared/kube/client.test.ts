import { describe, expect, onTestFinished, test } from 'vitest';
import { PATCH } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import type { WatchEvent } from '#shared/kube/types.ts';
import { openFakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const CONFIG_MAPS = '/api/v1/namespaces/ml/configmaps';

async function open() {
  const api = await openFakeApiServer();
  onTestFinished(() => api.close());
  const clock = fakeClock();
  return { api, clock, client: api.client(clock) };
}

function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'the call did not fail',
    (error: unknown) => error,
  );
}

describe('request', () => {
  test('reads written objects over one kept-alive connection', async () => {
    const { api, client } = await open();
    await client.request('POST', CONFIG_MAPS, { body: { metadata: { name: 'a' }, data: { k: 'v' } } });
    for (let i = 0; i < 5; i++)
      expect(await client.request('GET', `${CONFIG_MAPS}/a`)).toMatchObject({ kind: 'ConfigMap', data: { k: 'v' } });
    expect(api.sockets()).toBe(1);
  });

  test('parses the Status of an error response', async () => {
    const { client } = await open();
    const error = await failure(client.request('GET', `${CONFIG_MAPS}/a`));
    expect(error).toBeInstanceOf(KubeError);
    expect(error).toMatchObject({ status: 404, reason: 'NotFound', message: expect.stringContaining('configmaps/a') });
  });

  test('reports Retry-After in milliseconds', async () => {
    const { api, client } = await open();
    api.fail({ times: 1, answer: { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 3 } });
    expect(await failure(client.request('GET', CONFIG_MAPS))).toMatchObject({ status: 429, retryAfterMs: 3000 });
  });

  test('fails after the deadline without a response', async () => {
    const { api, clock, client } = await open();
    api.fail({ answer: 'hang' });
    const call = failure(client.request('GET', CONFIG_MAPS, { timeoutMs: 2000 }));
    await expect.poll(() => api.requests.length).toBe(1);
    await clock.advance(1999);
    expect(api.sockets()).toBe(1);
    await clock.advance(1);
    expect(await call).toMatchObject({ status: 0, reason: 'Timeout' });
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  test('rejects with the signal’s reason and frees the connection', async () => {
    const { api, clock, client } = await open();
    api.fail({ answer: 'hang' });
    const stop = new AbortController();
    const call = failure(client.request('GET', CONFIG_MAPS, { signal: stop.signal }));
    await expect.poll(() => api.requests.length).toBe(1);
    stop.abort(new Error('enough'));
    expect(await call).toMatchObject({ message: 'enough' });
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  test('reports a reset connection as Unreachable with its cause', async () => {
    const { api, client } = await open();
    api.fail({ times: 1, answer: 'reset' });
    const error = await failure(client.request('GET', CONFIG_MAPS));
    expect(error).toMatchObject({
      status: 0,
      reason: 'Unreachable',
      cause: expect.objectContaining({ code: 'ECONNRESET' }),
    });
  });

  test('repeats a read, but never a write, on a stale kept-alive connection', async () => {
    const { api, client } = await open();
    await client.request('GET', CONFIG_MAPS);
    api.fail({ times: 1, answer: 'reset' });
    expect(await client.request('GET', CONFIG_MAPS)).toMatchObject({ kind: 'ConfigMapList' });
    api.fail({ times: 1, answer: 'reset' });
    const write = client.request('POST', CONFIG_MAPS, { body: { metadata: { name: 'a' } } });
    expect(await failure(write)).toMatchObject({ reason: 'StaleConnection' });
    expect(api.writes()).toHaveLength(1);
  });

  test('sends nothing when beforeSend throws', async () => {
    const { api, client } = await open();
    const call = client.request('PATCH', `${CONFIG_MAPS}/a`, {
      body: {},
      contentType: PATCH.merge,
      beforeSend: () => {
        throw new Error('no longer the leader');
      },
    });
    expect(await failure(call)).toMatchObject({ message: 'no longer the leader' });
    expect(await client.request('GET', CONFIG_MAPS)).toBeDefined();
    expect(api.writes()).toHaveLength(0);
  });

  test('sends nothing if the signal has already aborted', async () => {
    const { api, client } = await open();
    const error = await failure(client.request('GET', CONFIG_MAPS, { signal: AbortSignal.abort(new Error('late')) }));
    expect(error).toMatchObject({ message: 'late' });
    expect(api.requests).toHaveLength(0);
  });
});

describe('watch', () => {
  function watch(client: Awaited<ReturnType<typeof open>>['client'], query = {}) {
    const stop = new AbortController();
    const events = client.watch(
      CONFIG_MAPS,
      { allowWatchBookmarks: true, ...query },
      { signal: stop.signal, silenceMs: 90_000 },
    );
    return { stop, events: events[Symbol.asyncIterator]() };
  }
  const seen = (result: IteratorResult<WatchEvent>): unknown =>
    result.done === true ? 'end' : `${result.value.type} ${result.value.object.metadata.name ?? ''}`.trim();

  test('replays the events since the resourceVersion, then follows', async () => {
    const { api, client } = await open();
    const first = api.put(`${CONFIG_MAPS}/a`, {});
    api.put(`${CONFIG_MAPS}/b`, {});
    const { events, stop } = watch(client, { resourceVersion: first.metadata.resourceVersion });
    expect(seen(await events.next())).toBe('ADDED b');
    api.delete(`${CONFIG_MAPS}/a`);
    expect(seen(await events.next())).toBe('DELETED a');
    api.watches.bookmark();
    expect(seen(await events.next())).toBe('BOOKMARK');
    api.watches.end();
    expect(seen(await events.next())).toBe('end');
    stop.abort();
  });

  test('reports an object that no longer matches the selector as deleted', async () => {
    const { api, client } = await open();
    const { events, stop } = watch(client, { labelSelector: 'app=x' });
    const next = events.next();
    await expect.poll(() => api.watches.count()).toBe(1);
    api.put(`${CONFIG_MAPS}/a`, { metadata: { labels: { app: 'x' } } });
    expect(seen(await next)).toBe('ADDED a');
    api.put(`${CONFIG_MAPS}/a`, { metadata: { labels: { app: 'y' } } });
    expect(seen(await events.next())).toBe('DELETED a');
    stop.abort();
  });

  test('rejects for a status other than 200', async () => {
    const { api, client } = await open();
    api.put(`${CONFIG_MAPS}/a`, {});
    api.compact();
    const { events } = watch(client, { resourceVersion: '1' });
    expect(await failure(events.next())).toMatchObject({ status: 410, reason: 'Expired' });
  });

  test('throws the error of an ERROR event', async () => {
    const { api, client } = await open();
    const { events } = watch(client);
    const next = failure(events.next());
    await expect.poll(() => api.watches.count()).toBe(1);
    api.watches.expire();
    expect(await next).toMatchObject({ status: 410, reason: 'Expired' });
  });

  test('throws after the idle timeout and frees the connection', async () => {
    const { api, clock, client } = await open();
    const { events } = watch(client);
    const next = events.next();
    await expect.poll(() => api.watches.count()).toBe(1);
    await expect.poll(() => clock.pending()).toBe(1);
    await clock.advance(60_000);
    api.watches.bookmark();
    expect(seen(await next)).toBe('BOOKMARK');
    const silent = failure(events.next());
    await expect.poll(() => clock.pending()).toBe(1);
    await clock.advance(89_999);
    expect(api.watches.count()).toBe(1);
    await clock.advance(1);
    expect(await silent).toMatchObject({ status: 0, reason: 'Silent' });
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  test('frees the connection when the consumer stops', async () => {
    const { api, clock, client } = await open();
    const { events } = watch(client);
    const next = events.next();
    await expect.poll(() => api.watches.count()).toBe(1);
    api.put(`${CONFIG_MAPS}/a`, {});
    await next;
    await events.return?.();
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
  });
});
