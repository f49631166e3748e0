import { openEndpointSlices } from '#cache/peers/endpoint-slices.ts';
import { openStaticPeers } from '#cache/peers/static.ts';
import { silentLog } from '#shared/log.ts';
import { endpointSlice, PEER_SERVICE, SLICES } from '#test/support/endpoint-slices.ts';
import { openFakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { until } from '#test/support/until.ts';
import { peerViewConformance } from '#test/conformance/suites/peer-view.ts';

peerViewConformance(
  'the static list',
  async ({ peers, self }) => {
    const view = openStaticPeers({ peers, self });
    return { view, close: () => view.close() };
  },
  { changes: false },
);

const ipOf = (peer: string): string => peer.split(':')[0] ?? '';

peerViewConformance(
  'EndpointSlices',
  async ({ peers, self }) => {
    const api = await openFakeApiServer();
    const clock = fakeClock();
    const put = (wanted: readonly string[]): object =>
      api.put(`${SLICES}/a`, endpointSlice(wanted.map((peer) => ({ ip: ipOf(peer) }))));
    put(peers);
    const view = openEndpointSlices({
      client: api.client(clock),
      namespace: 'ml',
      service: PEER_SERVICE,
      self: { ip: ipOf(self), port: 8444 },
      clock,
      log: silentLog,
    });
    let closed = false;
    const closeView = view.close.bind(view);
    view.close = async () => {
      closed = true;
      await closeView();
    };
    return {
      view,
      async change(wanted) {
        if (!closed) await until(() => api.watches.count() === 1, 'one watch');
        put(wanted);
        // The batch timer, besides the two timers of the watch.
        if (!closed) await until(() => clock.pending() === 3, 'an event is pending');
        await clock.advance(100);
      },
      async close() {
        await view.close();
        await api.close();
      },
    };
  },
  { changes: true },
);
