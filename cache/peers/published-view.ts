/** The current peer set and who wants to hear of the next one: what every peer view keeps. */
import { samePeers, type PeerSet } from '#cache/core/peer-set.ts';
import type { Log } from '#shared/log.ts';

export interface PublishedView {
  current(): PeerSet;
  onChange(listener: (peers: PeerSet) => void): () => void;
  /** Tells the listeners, if it is another set than the last. */
  publish(peers: PeerSet): void;
  close(): void;
}

export function publishedView(first: PeerSet, log: Log): PublishedView {
  let current = first;
  const listeners = new Set<(peers: PeerSet) => void>();
  return {
    current: () => current,
    onChange(listener) {
      // A wrapper, so that one function may listen twice and leave once.
      const entry = (peers: PeerSet): void => listener(peers);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    publish(peers) {
      if (samePeers(current, peers)) return;
      current = peers;
      for (const listener of listeners) {
        try {
          listener(peers);
        } catch (error) {
          log.error('a listener of the peer view threw', { error });
        }
      }
    },
    close: () => listeners.clear(),
  };
}
