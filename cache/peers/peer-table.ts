/** Per peer: connections, health and stream limit. Bounded: the least recently used peer is evicted. */
import type { PeerAddress, PeerSet } from '#cache/engine/ports.ts';
import { openRawClient, type RawClient } from '#cache/wire/http1/raw-client.ts';
import type { Clock } from '#shared/clock.ts';
import type { PeerMonitor } from './heartbeat/monitor.ts';
import { PROVE_INTERVAL_MS, type PeerWatch } from './heartbeat/peer-watch.ts';
import { peerUnavailable } from './peer-error.ts';
import { peerHealth, type PeerHealth } from './peer-health.ts';
import { streamGate, type StreamGate } from './stream-gate.ts';

/** How long a dead peer is skipped, so that not every chunk costs another `deadAfterMs`. */
export const SKIP_DEAD_MS = 5000;
const STREAMS_PER_PEER = { maxActive: 64, maxWaiting: 256, waitMs: 5000 };
/**
 * Calls to warm a chunk, each with a connection: a peer fills a few at a time. As many may wait as a walker sends in all,
 * and as long as their turn takes.
 */
const WARMS_PER_PEER = { maxActive: 64, maxWaiting: 1_024, waitMs: 10 * 60_000 };
/** Addresses change with pods; connections to old ones are not kept. */
const MAX_PEERS = 256;

export interface Peer {
  readonly client: RawClient;
  readonly health: PeerHealth;
  readonly gate: StreamGate;
  readonly warmGate: StreamGate;
  /** Undefined without heartbeats. */
  readonly watch: PeerWatch | undefined;
}

export class PeerTable {
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #monitor: PeerMonitor | undefined;
  /** Least recently used first. */
  readonly #peers = new Map<PeerAddress, Peer>();
  #isClosed = false;
  #cancelProve = (): void => {};

  constructor(clock: Clock, connectTimeoutMs: number, monitor: PeerMonitor | undefined) {
    this.#clock = clock;
    this.#monitor = monitor;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Throws peer_unavailable once the table is closed. */
  at(address: PeerAddress): Peer {
    if (this.#isClosed) throw peerUnavailable(address, 'the client is closed');
    const peer = this.#peers.get(address) ?? this.#open(address);
    this.#peers.delete(address);
    this.#peers.set(address, peer);
    this.#evict(address);
    return peer;
  }

  /** Pings peers that have not answered a heartbeat yet, until `close`. */
  keepProven(current: () => PeerSet): void {
    const prove = (): void => {
      const { self, owners } = current();
      for (const address of owners.slice(0, MAX_PEERS)) if (address !== self) this.at(address).watch?.prove();
      this.#cancelProve = this.#clock.after(PROVE_INTERVAL_MS, prove);
    };
    this.#cancelProve = this.#clock.after(PROVE_INTERVAL_MS, prove);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelProve();
    for (const peer of this.#peers.values()) closePeer(peer);
    this.#monitor?.close();
    this.#peers.clear();
  }

  #open(address: PeerAddress): Peer {
    return {
      client: openRawClient({ endpoint: `http://${address}`, connectTimeoutMs: this.#connectTimeoutMs }),
      health: peerHealth(this.#clock, SKIP_DEAD_MS),
      gate: streamGate(STREAMS_PER_PEER, this.#clock),
      warmGate: streamGate(WARMS_PER_PEER, this.#clock),
      watch: this.#monitor?.open(address),
    };
  }

  /** A peer with open streams stays. */
  #evict(except: PeerAddress): void {
    for (const [address, peer] of this.#peers) {
      if (this.#peers.size <= MAX_PEERS) return;
      if (peer.gate.active + peer.warmGate.active > 0 || address === except) continue;
      closePeer(peer);
      this.#peers.delete(address);
    }
  }
}

function closePeer({ client, watch }: Peer): void {
  client.close();
  watch?.close();
}
