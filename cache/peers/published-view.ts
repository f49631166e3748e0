/** An observable peer set: the current one and the listeners for changes. Every peer view is built on it. */
import { samePeers, type PeerSet } from '#cache/core/peer-set.ts';
import type { Log } from '#shared/log.ts';

export interface PublishedView {
  current(): PeerSet;
  /** Returns the unsubscribe function. */
  onChange(listener: (peers: PeerSet) => void): () => void;
  /** Notifies the listeners if the set differs from the current one. */
  publish(peers: PeerSet): void;
  close(): void;
}

export function publishedView(first: PeerSet, log: Log): PublishedView {
  let current = first;
  const listeners = new Set<(peers: PeerSet) => void>();
  return {
    current: () => current,
    onChange(listener) {
      // A wrapper, so that a function can be subscribed twice and unsubscribed once.
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
          log.error('peer view: a change listener failed', { error });
        }
      }
    },
    close: () => listeners.clear(),
  };
}
