/** Static peers from the configuration. They never change, and always include this replica. */
import { expandWorkers, parsePeerAddress, peerSet } from '#cache/core/peer-set.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import { silentLog } from '#shared/log.ts';
import { publishedView } from './published-view.ts';

export interface StaticPeersOptions {
  /** `ip:port` of worker 0 of each replica. */
  readonly peers: readonly string[];
  /** `ip:port` of worker 0 of this replica. */
  readonly self: string;
  /** The processes of each replica: all have the same configuration. Default: 1. */
  readonly workers?: number;
  /** Which of them this process is. Default: 0. */
  readonly worker?: number;
}

/** Throws RangeError for a malformed address. */
export function openStaticPeers(options: StaticPeersOptions): PeerView {
  const { workers = 1, worker = 0 } = options;
  const own = expandWorkers(parsePeerAddress(options.self), workers);
  const others = options.peers.flatMap((peer) => expandWorkers(parsePeerAddress(peer), workers));
  const view = publishedView(peerSet(own[worker]!, [...own, ...others], []), silentLog);
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
