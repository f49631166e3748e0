import { systemClock } from '#shared/clock.ts';
import { peerClientSuite } from '#test/conformance/suites/peer-client.ts';
import { directPeerClient } from '#test/support/direct-peer-client.ts';
import type { Replica } from '#test/support/engines.ts';

peerClientSuite(
  'the direct call',
  async ({ replicas }) => {
    const [, replica] = replicas as readonly [Replica, Replica];
    const client = directPeerClient({
      clock: systemClock,
      peerAt: (address) => replicas.find((other) => other.address === address),
    });
    return {
      client,
      peer: replica.address,
      async kill() {
        replica.dead = true;
      },
      close: () => client.close(),
    };
  },
  { hasKeys: false },
);
