/** Static peers from the configuration. They never change, and always include this replica. */
import { parsePeerAddress, peerSet } from '#cache/core/peer-set.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import { silentLog } from '#shared/log.ts';
import { publishedView } from './published-view.ts';

export interface StaticPeersOptions {
  /** `ip:port` each. */
  readonly peers: readonly string[];
  /** `ip:port`. */
  readonly self: string;
}

/** Throws RangeError for a malformed address. */
export function openStaticPeers(options: StaticPeersOptions): PeerView {
  const self = parsePeerAddress(options.self);
  const view = publishedView(peerSet(self, [self, ...options.peers.map(parsePeerAddress)], []), silentLog);
  return {
    current: () => view.current(),
    onChange: (listener) => view.onChange(listener),
    async ready() {},
    staleMs: () => 0,
    async close() {
      view.close();
    },
  };
}
