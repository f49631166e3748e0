/** The real client over loopback to the real peer listener of another replica's engine, with keys and without. */
import { peerAddress } from '#cache/core/peer-set.ts';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { PeerClient, PeerView } from '#cache/engine/ports.ts';
import { openPeerListener } from '#cache/http/peer/peer.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { unknownUnacked } from '#cache/http/listener/send-queues.ts';
import { systemClock } from '#shared/clock.ts';
import { silentLog } from '#shared/log.ts';
import { peerClientSuite, type PeerClientFixture } from '#test/conformance/suites/peer-client.ts';
import { peerSet, type Engines, type Replica } from '#test/support/engines.ts';

const KEYS: PeerKeys = { current: Buffer.alloc(32, 1), previous: undefined };
const OTHER_KEYS: PeerKeys = { current: Buffer.alloc(32, 2), previous: undefined };
/** One process runs both sides, so a slow turn of its event loop must not look like a dead peer. */
const DEAD_AFTER_MS = 10_000;

const open = (keys: PeerKeys | undefined): PeerClient =>
  openFillClient({ keys: () => keys, clock: systemClock, deadAfterMs: DEAD_AFTER_MS });

async function connect({ replicas, settings }: Engines, keys: PeerKeys | undefined): Promise<PeerClientFixture> {
  const [, replica] = replicas as readonly [Replica, Replica];
  let self = replica.address;
  // MACs cover the address that the client connects to.
  const peers = { current: () => peerSet(self, [self]) } as unknown as PeerView;
  const listener = openPeerListener({
    engine: replica.engine,
    peers,
    keys: keys === undefined ? undefined : { current: () => keys },
    originId: settings.origin.id,
    buckets: new BucketTable(settings.origin.buckets),
    maxChunkSizeBytes: settings.memory.budgetBytes / 4,
    clock: systemClock,
    unackedBytes: unknownUnacked,
    tracer: undefined,
    observer: { peerRequest: () => {}, peerStalled: () => {}, peerShed: () => {} },
    log: silentLog,
  });
  self = peerAddress('127.0.0.1', await listener.listen('127.0.0.1', 0));
  const client = open(keys);
  const stranger = keys === undefined ? undefined : open(OTHER_KEYS);
  let isDead = false;
  const kill = async (): Promise<void> => {
    if (!isDead) await listener.drain(AbortSignal.abort());
    isDead = true;
  };
  return {
    client,
    peer: self,
    ...(stranger !== undefined && { stranger }),
    kill,
    async close() {
      await Promise.all([client.close(), stranger?.close(), kill()]);
    },
  };
}

peerClientSuite('HTTP with keys', (engines) => connect(engines, KEYS), { hasKeys: true });
peerClientSuite('HTTP without keys', (engines) => connect(engines, undefined), { hasKeys: false });
