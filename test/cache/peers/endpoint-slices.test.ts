import { describe, expect, onTestFinished, test } from 'vitest';
import { openEndpointSlices } from '#cache/peers/endpoint-slices.ts';
import { silentLog } from '#shared/log.ts';
import { endpointSlice, PEER_SERVICE, SLICES, type FakeEndpoint } from '#test/support/endpoint-slices.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';

async function open(prepare: (api: FakeApiServer) => void = () => {}) {
  const api = await openFakeApiServer();
  const clock = fakeClock();
  const stopping = new AbortController();
  prepare(api);
  const view = openEndpointSlices({
    client: api.client(clock),
    namespace: 'ml',
    service: PEER_SERVICE,
    self: { ip: A, port: 8444 },
    clock,
    log: silentLog,
    random: () => 0.5,
    stopping: stopping.signal,
  });
  onTestFinished(async () => {
    await view.close();
    await api.close();
  });
  const published: string[][] = [];
  view.onChange((peers) => published.push(peers.owners.map((owner) => owner.split(':')[0] ?? '')));
  return {
    api,
    clock,
    view,
    stopping,
    published,
    watching: () => expect.poll(() => api.watches.count()).toBe(1),
    /** An event has arrived: besides the watch's two timers the batch timer is pending. */
    gathering: () => expect.poll(() => clock.pending()).toBe(3),
    owners: () => view.current().owners.map((owner) => owner.split(':')[0]),
  };
}

function put(api: FakeApiServer, ...endpoints: readonly (string | FakeEndpoint)[]): void {
  api.put(`${SLICES}/a`, endpointSlice(endpoints.map((each) => (typeof each === 'string' ? { ip: each } : each))));
}

describe('the view', () => {
  test('is ready after the first list, even an empty one', async () => {
    const { view, owners } = await open();
    await view.ready();
    expect(owners()).toEqual([A]);
  });

  test('becomes ready only once the API server answers', async () => {
    const { api, clock, view, owners } = await open((api) => {
      put(api, A, B);
      api.fail({ times: 1, answer: { status: 503 } });
    });
    let ready = false;
    void view.ready().then(() => {
      ready = true;
    });
    await expect.poll(() => api.requests.length).toBe(1);
    await expect.poll(() => clock.pending()).toBe(1);
    expect(ready).toBe(false);
    expect(owners()).toEqual([A]);
    await clock.advance(500);
    await view.ready();
    expect(owners()).toEqual([A, B]);
  });

  test('watches only the slices of its own Service', async () => {
    const { api, view, owners } = await open((api) => {
      put(api, A, B);
      api.put(`${SLICES}/other`, {
        ...endpointSlice([{ ip: C }]),
        metadata: { labels: { 'kubernetes.io/service-name': 'x' } },
      });
    });
    await view.ready();
    expect(owners()).toEqual([A, B]);
    expect(api.requests[0]?.query['labelSelector']).toBe('kubernetes.io/service-name=models-peers');
  });

  test('batches changes for 100 ms and publishes the last', async () => {
    const { api, clock, view, published, watching, gathering } = await open((api) => put(api, A, B));
    await view.ready();
    await watching();
    published.length = 0;
    put(api, A);
    await gathering();
    put(api, A, B, C);
    await clock.advance(99);
    expect(published).toEqual([]);
    await clock.advance(1);
    expect(published).toEqual([[A, B, C]]);
  });

  test('keeps the last peers while the API server is unreachable', async () => {
    const { api, clock, view, owners, watching } = await open((api) => put(api, A, B, C));
    await view.ready();
    await watching();
    api.fail({ answer: { status: 500 } });
    api.watches.reset();
    for (let minute = 0; minute < 20; minute++) await clock.advance(60_000);
    expect(owners()).toEqual([A, B, C]);
    expect(view.staleMs()).toBe(20 * 60_000);
  });

  test('accepts an empty set of peers from a list, not from an event', async () => {
    const { api, clock, view, owners, watching, gathering } = await open((api) => put(api, A, B));
    await view.ready();
    await watching();
    api.delete(`${SLICES}/a`);
    await gathering();
    await clock.advance(100);
    expect(owners()).toEqual([A, B]);
    api.watches.expire();
    for (let i = 0; i < 20 && owners().length > 1; i++) await clock.advance(250);
    expect(owners()).toEqual([A]);
  });

  test('follows a slice that is deleted and recreated under another name', async () => {
    const { api, clock, view, owners, published, watching, gathering } = await open((api) => put(api, A, B));
    await view.ready();
    await watching();
    published.length = 0;
    api.delete(`${SLICES}/a`);
    await gathering();
    await clock.advance(100);
    api.put(`${SLICES}/b`, endpointSlice([{ ip: A }, { ip: C }]));
    await gathering();
    await clock.advance(100);
    expect(published).toEqual([[A, C]]);
    expect(owners()).toEqual([A, C]);
  });

  test('moves a terminating peer from the owners to the terminating ones', async () => {
    const { api, clock, view, watching, gathering } = await open((api) => put(api, A, B));
    await view.ready();
    await watching();
    put(api, A, { ip: B, terminating: true });
    await gathering();
    await clock.advance(100);
    expect(view.current()).toMatchObject({ owners: [`${A}:8444`], terminating: [`${B}:8444`] });
  });
});

describe('when this replica stops', () => {
  test('it owns nothing 3 s later, even without an event from the API server', async () => {
    const { api, clock, view, owners, stopping } = await open((api) => put(api, A, B));
    await view.ready();
    api.fail({ answer: 'hang' });
    stopping.abort();
    await clock.advance(2999);
    expect(owners()).toEqual([A, B]);
    await clock.advance(1);
    expect(owners()).toEqual([B]);
    expect(view.current().terminating).toEqual([`${A}:8444`]);
  });

  test('the view closes without leaving timers, connections or notifications', async () => {
    const { api, clock, view, published, watching } = await open((api) => put(api, A, B));
    await view.ready();
    await watching();
    published.length = 0;
    put(api, A);
    await view.close();
    await expect.poll(() => api.sockets()).toBe(0);
    expect(clock.pending()).toBe(0);
    expect(published).toEqual([]);
  });

  test('a pending ready() rejects', async () => {
    const { view } = await open((api) => api.fail({ answer: 'hang' }));
    const ready = view.ready();
    await view.close();
    await expect(ready).rejects.toMatchObject({ code: 'cancelled' });
  });
});
