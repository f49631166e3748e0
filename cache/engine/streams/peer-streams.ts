/**
 * The table of streams from other replicas: whoever reads a chunk here that comes from there reads along with those who
 * do already. Only local readers are in it: what another replica asks of us joins fills, so none waits for the other.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { STARTED_PATIENCE_MS, type ChunkRead } from '#cache/engine/fetch/cursor.ts';
import { openCommitWatch, type CommitWatch } from './commit-watch.ts';
import type { InboundReader } from './peer-stream-reader.ts';
import { openInbound, type InboundAsk, type InboundContext, type InboundStream } from './peer-stream.ts';
import type { ChunkStore, PeerAddress } from '#cache/engine/ports.ts';

/** Of the 64 that a peer is asked for at once, for readers who were too slow or too late for the others' streams. */
const MAX_ASIDE = 16;
/** Without a place for one's own, the commit is waited for: seen so soon after it is done. */
const COMMIT_POLL_MS = 500;
/** As a new request waits for memory. */
const NEW_WAIT_MS = 5_000;

export interface InboundOptions extends InboundContext {
  readonly store: ChunkStore;
  readonly catalog: Catalog;
}

export class Inbound {
  readonly #options: InboundOptions;
  readonly #streams = new Map<string, InboundStream[]>();
  readonly #aside = new Map<PeerAddress, number>();
  readonly #commits: CommitWatch;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.#commits = openCommitWatch(options);
  }

  /** Streams under way. */
  get count(): number {
    let count = 0;
    for (const streams of this.#streams.values()) count += streams.length;
    return count;
  }

  /** Those who read along. */
  get readers(): number {
    let count = 0;
    for (const streams of this.#streams.values()) for (const { window } of streams) count += window.readers;
    return count;
  }

  /**
   * A reader of `range`, of a stream that is joined or begun; `committed` for one that comes too late (`isBehind`: or has
   * been left behind) where the cachestore has the chunk by now. Joining and beginning are one step without a pause, so a
   * crowd shares one stream.
   */
  async join(
    ask: InboundAsk,
    range: ByteRange,
    read: ChunkRead,
    isBehind: boolean,
  ): Promise<InboundReader | 'committed'> {
    const joined = this.#joinOne(ask, range, read);
    if (joined !== undefined) return joined;
    if (isBehind || this.#hasPassed(ask, range)) return this.#catchUp(ask, range, read);
    return this.#open(ask, range, read);
  }

  async #catchUp(ask: InboundAsk, range: ByteRange, read: ChunkRead): Promise<InboundReader | 'committed'> {
    const { clock, observer } = this.#options;
    const sinceMs = clock.now();
    const patienceMs = read.demand === 'started' ? STARTED_PATIENCE_MS : NEW_WAIT_MS;
    // Who was told to keep away from the cachestore has its reasons.
    const mayRead = ask.why !== 'bad' && ask.why !== 'relay';
    for (;;) {
      if (mayRead && (await this.#commits.isStored(ask.chunk, read.signal))) {
        observer.fallThrough('behind', 'committed');
        return 'committed';
      }
      const joined = this.#joinOne(ask, range, read);
      if (joined !== undefined) return joined;
      const count = this.#aside.get(ask.peer) ?? 0;
      if (count < MAX_ASIDE) {
        observer.fallThrough('behind', 'own stream');
        return this.#openAside(ask, range, read, count);
      }
      if (read.demand === 'ahead' || clock.now() - sinceMs >= patienceMs)
        throw new OrcaError('overloaded', `${ask.peer} has ${MAX_ASIDE} streams for those left behind`, {
          retryAfterMs: COMMIT_POLL_MS,
        });
      await clock.sleep(COMMIT_POLL_MS, read.signal);
    }
  }

  #joinOne(ask: InboundAsk, range: ByteRange, read: ChunkRead): InboundReader | undefined {
    const streams = this.#streams.get(keyOf(ask));
    const stream = streams?.find((candidate) => candidate.window.covers(range) && mayJoin(candidate, read));
    return stream?.window.join(range, read);
  }

  #hasPassed(ask: InboundAsk, range: ByteRange): boolean {
    return this.#streams.get(keyOf(ask))?.some(({ window }) => window.hasPassed(range)) ?? false;
  }

  #openAside(ask: InboundAsk, range: ByteRange, read: ChunkRead, count: number): InboundReader {
    let isOpen = true;
    const reader = this.#open(ask, range, read, () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#aside.get(ask.peer) ?? 0) - 1;
      if (left > 0) this.#aside.set(ask.peer, left);
      else this.#aside.delete(ask.peer);
    });
    this.#aside.set(ask.peer, count + 1);
    return reader;
  }

  #open(ask: InboundAsk, range: ByteRange, read: ChunkRead, onEnd: () => void = () => {}): InboundReader {
    const key = keyOf(ask);
    const { stream, reader } = openInbound(this.#options, ask, range, read, (ended) => {
      this.#leave(key, ended);
      onEnd();
    });
    const streams = this.#streams.get(key);
    if (streams === undefined) this.#streams.set(key, [stream]);
    else streams.push(stream);
    return reader;
  }

  #leave(key: string, stream: InboundStream): void {
    const streams = this.#streams.get(key);
    const at = streams?.indexOf(stream) ?? -1;
    if (streams === undefined || at < 0) return;
    streams.splice(at, 1);
    if (streams.length === 0) this.#streams.delete(key);
  }
}

/** Where the memory is still waited for, only in one's own class; what is read ahead waits for none. */
function mayJoin({ window, demand }: InboundStream, read: ChunkRead): boolean {
  return window.isOpen || read.demand === demand;
}

function keyOf({ chunk, peer, rank, why }: InboundAsk): string {
  return `${why} ${rank} ${peer} ${chunk.path}`;
}
