/**
 * Coalesces local reads of a chunk that comes from another replica: concurrent readers share one stream. Requests of
 * other replicas are not in this table (they join fills), so two replicas never wait for each other.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { NEW_WAIT_MS, STARTED_WAIT_MS } from '#cache/engine/memory/lease-queue.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { CommitWatch } from './commit-watch.ts';
import { InFlightTable } from './in-flight-table.ts';
import { openPeerStream, type PeerStream, type PeerStreamAsk, type PeerStreamContext } from './peer-stream.ts';
import type { StreamRead, StreamReader } from './stream-reader.ts';

/**
 * Per peer: streams for single readers that a shared stream left behind. They may take a quarter of the 64 streams that
 * a peer serves to one replica at once.
 */
const MAX_OWN_STREAMS = 16;
/** How often a reader that gets no stream of its own checks whether the chunk is committed. */
const COMMIT_POLL_MS = 500;

export interface PeerStreamsOptions extends PeerStreamContext {
  readonly commits: CommitWatch;
}

export class PeerStreams {
  readonly #options: PeerStreamsOptions;
  readonly #table = new InFlightTable<string, PeerStream>();
  readonly #ownStreams = new Map<PeerAddress, number>();
  readonly #commits: CommitWatch;

  constructor(options: PeerStreamsOptions) {
    this.#options = options;
    this.#commits = options.commits;
  }

  /** Streams in flight. */
  get count(): number {
    return this.#table.count;
  }

  /** Their readers. */
  get readers(): number {
    let count = 0;
    for (const { window } of this.#table.values()) count += window.readers;
    return count;
  }

  /** Whether a stream for such a request is in flight. */
  isOpen(ask: PeerStreamAsk): boolean {
    return this.#table.find(keyOf(ask)) !== undefined;
  }

  /**
   * A reader of `range`, of a stream that is joined or started. `committed` for a reader that comes too late or was
   * left behind (`isBehind`), where the cachestore has the chunk by now.
   */
  async join(
    ask: PeerStreamAsk,
    range: ByteRange,
    read: StreamRead,
    isBehind: boolean,
  ): Promise<StreamReader | 'committed'> {
    const joined = this.#joinShared(ask, range, read);
    if (joined !== undefined) return joined;
    const hasPassed = this.#table.find(keyOf(ask), ({ window }) => window.hasPassed(range)) !== undefined;
    return isBehind || hasPassed ? this.#catchUp(ask, range, read) : this.#open(ask, range, read);
  }

  async #catchUp(ask: PeerStreamAsk, range: ByteRange, read: StreamRead): Promise<StreamReader | 'committed'> {
    const { clock, observer } = this.#options;
    const sinceMs = clock.now();
    const waitMs = read.demand === 'started' ? STARTED_WAIT_MS : NEW_WAIT_MS;
    // A reader that turned to the peer because of the cachestore is not sent back to it.
    const mayRead = ask.reason !== 'corrupt' && ask.reason !== 'store_unavailable';
    for (;;) {
      if (mayRead && (await this.#commits.isStored(ask.chunk, ask, read.signal))) {
        observer.fallThrough('left_behind', 'committed');
        return 'committed';
      }
      const joined = this.#joinShared(ask, range, read);
      if (joined !== undefined) return joined;
      const count = this.#ownStreams.get(ask.peer) ?? 0;
      if (count < MAX_OWN_STREAMS) {
        observer.fallThrough('left_behind', 'own_stream');
        return this.#openOwn(ask, range, read, count);
      }
      if (read.demand === 'ahead' || clock.now() - sinceMs >= waitMs)
        throw new OrcaError('overloaded', `${ask.peer} serves ${MAX_OWN_STREAMS} streams to readers left behind`, {
          retryAfterMs: COMMIT_POLL_MS,
        });
      await clock.sleep(COMMIT_POLL_MS, read.signal);
    }
  }

  #joinShared(ask: PeerStreamAsk, range: ByteRange, read: StreamRead): StreamReader | undefined {
    const accepts = (stream: PeerStream) => stream.window.covers(range) && mayJoin(stream, read);
    return this.#table.find(keyOf(ask), accepts)?.window.join(range, read);
  }

  #openOwn(ask: PeerStreamAsk, range: ByteRange, read: StreamRead, count: number): StreamReader {
    let isOpen = true;
    const reader = this.#open(ask, range, read, () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#ownStreams.get(ask.peer) ?? 0) - 1;
      if (left > 0) this.#ownStreams.set(ask.peer, left);
      else this.#ownStreams.delete(ask.peer);
    });
    this.#ownStreams.set(ask.peer, count + 1);
    return reader;
  }

  #open(ask: PeerStreamAsk, range: ByteRange, read: StreamRead, onEnd: () => void = () => {}): StreamReader {
    const key = keyOf(ask);
    const { stream, reader } = openPeerStream(this.#options, ask, range, read, (ended) => {
      this.#table.remove(key, ended);
      onEnd();
    });
    this.#table.add(key, stream);
    return reader;
  }
}

/** While a stream waits for its memory, only readers of the same class join it; read-ahead does not wait for memory. */
function mayJoin({ window, demand }: PeerStream, read: StreamRead): boolean {
  return window.isOpen || read.demand === demand;
}

function keyOf({ chunk, peer, rank, reason }: PeerStreamAsk): string {
  return `${reason} ${rank} ${peer} ${chunk.path}`;
}
