/** Which replica owns a shard, and which one is the accountant: by the ranking that chunks use. */
import { accountantKey, shardKey, SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerAddress, PeerSet, PeerView } from '#cache/engine/ports.ts';

export class Shards {
  readonly #peers: PeerView;
  readonly #originId: string;
  #epoch: string | undefined;
  /** The owners in the current epoch; each is ranked when it is needed first. */
  #owners: (PeerAddress | undefined)[] = [];
  #accountant: PeerAddress | undefined;

  constructor(peers: PeerView, originId: string) {
    this.#peers = peers;
    this.#originId = originId;
  }

  get self(): PeerAddress {
    return this.#peers.current().self;
  }

  get epoch(): string {
    return this.#peers.current().epoch;
  }

  ownerOf(shard: number): PeerAddress {
    const view = this.#view();
    return (this.#owners[shard] ??= first(shardKey(this.#originId, shard), view));
  }

  isMine(shard: number): boolean {
    return this.ownerOf(shard) === this.self;
  }

  mine(): number[] {
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
    return shards.filter((shard) => this.isMine(shard));
  }

  accountant(): PeerAddress {
    const view = this.#view();
    return (this.#accountant ??= first(accountantKey(this.#originId), view));
  }

  #view(): PeerSet {
    const view = this.#peers.current();
    if (view.epoch !== this.#epoch) {
      this.#epoch = view.epoch;
      this.#owners = [];
      this.#accountant = undefined;
    }
    return view;
  }
}

/** Without owners, as the last replica of a cache that leaves, we are on our own. */
function first(key: string, { owners, self }: PeerSet): PeerAddress {
  return rankPeers(key, owners, 1)[0] ?? self;
}
