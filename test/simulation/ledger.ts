/**
 * Records which bytes of which chunk came from the origin, and when. A byte that is fetched twice needs an excuse: an
 * event since the start of the first fill that forced the cluster to fetch it again.
 */
import type { ByteRange } from '#cache/core/object.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { blocksOf, creditBytes, isFooter, isSparse, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import type { World } from './world.ts';

/**
 * `store`: the cachestore's content could not be determined or read. `replicas`: a replica was unreachable, or views
 * differed, so that another replica than the coordinator may fill. `fill`: an earlier fill failed.
 */
export type ExcuseKind = 'store' | 'replicas' | 'fill';

export interface Excuses {
  readonly store: string | undefined;
  readonly replicas: string | undefined;
  /** When the later fill began, the chunk had been stored for long enough that only a failing cachestore is an excuse. */
  readonly isStored: boolean;
}

export interface Moment {
  readonly order: number;
  readonly atMs: number;
}

interface Span {
  readonly from: number;
  to: number;
  readonly moment: Moment;
  /** The fill that fetched it. A fill must never request the same byte twice. */
  readonly flight: object | undefined;
}

interface Account {
  spans: Span[];
  /** What sparse reads have fetched, as far as it is still in memory. */
  readonly sparse: ByteRange[];
  sparseBytes: number;
  /** What the reads of clients allow sparse reads to cost. */
  creditBytes: number;
  /** Of that, what also pays for a fill. */
  fillCreditBytes: number;
  /** No client has requested more than a small part at a time. */
  isSparseOnly: boolean;
  lengthBytes: number;
  readonly excuses: Partial<Record<ExcuseKind, Excuse>>;
}

interface Excuse {
  readonly order: number;
  readonly atMs: number;
  readonly reason: string;
}

/** How much later a request that could not reach the coordinator may still be running. */
const PATIENCE_MS = 150_000;

export class Ledger {
  readonly #world: World;
  readonly #accounts = new Map<string, Account>();
  readonly #leadMs: number;
  readonly #isFaultless: boolean;
  readonly #further: (path: string, since: Moment, later: Moment) => Excuses;
  /** The time of the first request of each fill. */
  readonly #began = new WeakMap<object, Moment>();
  #general: Excuse | undefined;
  totalBytes = 0;
  repeatedBytes = 0;
  sparseBytes = 0;

  /**
   * `leadMs`: how long before its first request a fill may have been decided on. `further`: excuses that hold for more
   * than one chunk.
   */
  constructor(
    world: World,
    leadMs: number,
    isFaultless: boolean,
    further: (path: string, since: Moment, later: Moment) => Excuses,
  ) {
    this.#world = world;
    this.#leadMs = leadMs;
    this.#isFaultless = isFaultless;
    this.#further = further;
  }

  excuse(path: string, kind: ExcuseKind, reason: string): void {
    this.#account(path).excuses[kind] = { ...this.#now(), reason };
    this.#world.note('excuse', `${path} ${reason}`);
  }

  excuseAll(reason: string): void {
    this.#general = { ...this.#now(), reason };
    this.#world.note('excuse', `all ${reason}`);
  }

  /** Whether a recent event explains that a replica other than the coordinator fills the chunk. */
  mayFillInstead(path: string): boolean {
    const { replicas } = this.#account(path).excuses;
    return replicas !== undefined && this.#world.nowMs - replicas.atMs <= PATIENCE_MS;
  }

  /** Records an origin request of a fill; returns whether the fill has sent one before. */
  asked(flight: object | undefined): boolean {
    if (flight === undefined) return false;
    if (this.#began.has(flight)) return true;
    this.#began.set(flight, this.#now());
    return false;
  }

  /** `[from, to)` of the chunk has arrived at a replica. */
  delivered(path: string, from: number, to: number, flight: object | undefined): void {
    const account = this.#account(path);
    const moment = this.#now();
    this.totalBytes += to - from;
    const rest: Span[] = [];
    for (const span of account.spans) {
      const start = Math.max(span.from, from);
      const end = Math.min(span.to, to);
      if (start >= end) {
        rest.push(span);
        continue;
      }
      this.#repeated(path, account, span, start, end, flight);
      if (span.from < start) rest.push({ ...span, to: start });
      if (end < span.to) rest.push({ ...span, from: end });
    }
    rest.push({ from, to, moment, flight });
    account.spans = rest;
  }

  /** A client asks for `range` of a chunk; `isAll`: and for nothing else. */
  wanted(chunk: Chunk, range: ByteRange, isAll: boolean): void {
    const account = this.#account(chunk.path);
    const { first, end } = blocksOf(range);
    account.lengthBytes = chunk.lengthBytes;
    account.creditBytes += Math.max(creditBytes(range), (end - first) * SPARSE_BLOCK_BYTES);
    if (!isFooter(chunk, range)) account.fillCreditBytes += creditBytes(range);
    account.isSparseOnly &&= isAll && isSparse(chunk, range);
  }

  /**
   * After the workload of a run without faults: a chunk that was read in small parts has cost what these may cost.
   * `isFilled`: and was filled then, as every request was served.
   */
  checkSparse(isFilled: boolean): void {
    for (const [path, account] of this.#accounts) {
      if (!account.isSparseOnly || account.creditBytes === 0) continue;
      const filledBytes = account.spans.reduce((sum, { from, to }) => sum + to - from, 0);
      const costBytes = filledBytes + account.sparseBytes;
      if (costBytes > account.creditBytes)
        this.#world.violate('sparse reads are sparse', `${path} cost ${costBytes} bytes of ${account.creditBytes}`);
      const mayBytes = account.lengthBytes + account.sparseBytes;
      if (isFilled && filledBytes === 0 && account.fillCreditBytes > mayBytes)
        this.#world.violate(
          'sparse reads are sparse',
          `${path} has paid ${account.fillCreditBytes} bytes for ${account.lengthBytes}, and is not filled`,
        );
    }
  }

  /** A replica has evicted all that it had in memory: blocks may be read again, and are paid for again. */
  evicted(): void {
    for (const { sparse } of this.#accounts.values()) sparse.length = 0;
  }

  /** Sparse blocks of the chunk have arrived. */
  deliveredSparse({ path }: Chunk, from: number, to: number): void {
    const account = this.#account(path);
    const arrivedBytes = to - from;
    // A failed fill does not count; without faults none fails.
    if (this.#isFaultless && account.sparse.some((span) => span.from < to && span.to > from))
      this.#world.violate('sparse reads are sparse', `bytes [${from}, ${to}) of ${path} were read a second time`);
    account.sparse.push({ from, to });
    account.sparseBytes += arrivedBytes;
    this.totalBytes += arrivedBytes;
    this.sparseBytes += arrivedBytes;
    if (this.#isFaultless && account.sparseBytes > account.creditBytes)
      this.#world.violate(
        'sparse reads are sparse',
        `${account.sparseBytes} bytes of ${path} were read for sparse reads, which may cost ${account.creditBytes}`,
      );
  }

  #repeated(path: string, account: Account, span: Span, from: number, to: number, flight: object | undefined): void {
    this.repeatedBytes += to - from;
    const what = `bytes [${from}, ${to}) of ${path} came from the origin again`;
    if (flight !== undefined && flight === span.flight) {
      this.#world.violate('one fill per chunk', `${what}, within one fill`);
      return;
    }
    // Either of two concurrent fills may be the second to fetch a byte.
    const [first, second] = [this.#beganAt(span.flight, span.moment), this.#beganAt(flight, this.#now())];
    const [since, later] = first.order < second.order ? [first, second] : [second, first];
    const reason = this.#reason(path, account, since, later);
    if (reason === undefined) this.#world.violate('one fill per chunk', `${what}, without an excuse`);
    else this.#world.note('again', `${what}: ${reason}`);
  }

  #reason(path: string, account: Account, since: Moment, later: Moment): string | undefined {
    const valid = (excuse: Excuse | undefined, leadMs = 0): string | undefined =>
      excuse !== undefined && (excuse.order >= since.order || (leadMs > 0 && excuse.atMs >= since.atMs - leadMs))
        ? excuse.reason
        : undefined;
    const further = this.#further(path, since, later);
    const store = valid(this.#general) ?? valid(account.excuses.store) ?? further.store;
    if (store !== undefined || further.isStored) return store;
    const { replicas, fill } = account.excuses;
    return valid(replicas, this.#leadMs) ?? valid(fill, this.#leadMs) ?? further.replicas;
  }

  #beganAt(flight: object | undefined, otherwise: Moment): Moment {
    return (flight && this.#began.get(flight)) ?? otherwise;
  }

  #now(): Moment {
    return { order: this.#world.order, atMs: this.#world.nowMs };
  }

  #account(path: string): Account {
    const known = this.#accounts.get(path);
    if (known !== undefined) return known;
    const account: Account = {
      spans: [],
      sparse: [],
      sparseBytes: 0,
      creditBytes: 0,
      fillCreditBytes: 0,
      isSparseOnly: true,
      lengthBytes: 0,
      excuses: {},
    };
    this.#accounts.set(path, account);
    return account;
  }
}
