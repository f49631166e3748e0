/**
 * What a run has done: its figures now, and the position before which everything is done. Objects end in any order; the
 * position moves on when the oldest has ended.
 */
import { MAX_FAILURES, type PrewarmFailure } from '#shared/prewarm-report.ts';
import { MAX_RETRIES, type Retry, type RunRecord } from './record.ts';
import { addTally, emptyTally, type Tally } from './tally.ts';

/** An object that is being warmed. */
export interface ObjectProgress {
  /** Its size, once it is known. */
  sized(sizeBytes: number): void;
  /** A chunk is stored; `originBytes` of it were read from the origin now. */
  stored(lengthBytes: number, originBytes: number): void;
  /** A new attempt begins: its chunks will be looked for again. */
  restart(): void;
  end(outcome: 'done' | 'failed' | 'later'): void;
  readonly sizeBytes: number;
}

interface Entry {
  readonly target: number;
  readonly after: string;
  readonly tally: Tally;
  hasEnded: boolean;
}

export type Position = Pick<RunRecord, 'target' | 'after' | 'tally' | 'carriedBytes' | 'retries' | 'failures'>;

export class Progress {
  /** Of everything, also of what is under way. */
  readonly now: Tally = emptyTally();
  readonly retries: Retry[] = [];
  readonly failures: PrewarmFailure[] = [];
  /** The figures at the position. */
  readonly #settled: Tally = emptyTally();
  #target = 0;
  #after = '';
  /** In order. */
  readonly #entries: Entry[] = [];
  #carriedBytes = 0;
  #onRoom: (() => void) | undefined;

  constructor(from?: Position) {
    if (from === undefined) return;
    ({ target: this.#target, after: this.#after, carriedBytes: this.#carriedBytes } = from);
    addTally(this.#settled, from.tally);
    addTally(this.now, from.tally);
    this.retries.push(...from.retries);
    this.failures.push(...from.failures);
  }

  get target(): number {
    return this.#target;
  }

  get after(): string {
    return this.#after;
  }

  /** How many objects are between the position and the newest. */
  get window(): number {
    return this.#entries.length;
  }

  /** To be stored. */
  position(): Position {
    return {
      target: this.#target,
      after: this.#after,
      tally: { ...this.#settled },
      carriedBytes: this.#carriedBytes + this.now.originBytes - this.#settled.originBytes,
      retries: [...this.retries],
      failures: [...this.failures],
    };
  }

  /** The next object, whose end is at `after`. */
  begin(target: number, after: string, sizeBytes: number): ObjectProgress {
    const entry = { target, after, tally: emptyTally(), hasEnded: false };
    this.#entries.push(entry);
    this.#add(entry.tally, { objects: 1, totalBytes: sizeBytes });
    return this.#objectOf(entry.tally, () => {
      entry.hasEnded = true;
      this.#settle();
    });
  }

  /** Everything before `after` has begun: names that are not warmed are behind the position, too. */
  passed(target: number, after: string): void {
    this.#entries.push({ target, after, tally: emptyTally(), hasEnded: true });
    this.#settle();
  }

  /** Another attempt at an object, which is in the figures already. */
  again(sizeBytes: number): ObjectProgress {
    const tally = emptyTally();
    tally.totalBytes = sizeBytes;
    return this.#objectOf(tally, () => {
      addTally(this.#settled, { ...tally, totalBytes: tally.totalBytes - sizeBytes });
    });
  }

  /** Resolves when the window has room. */
  async room(maxWindow: number): Promise<void> {
    while (this.#entries.length >= maxWindow)
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
  }

  /** The object will be tried again; false: too many others will be. */
  retryLater(retry: Retry): boolean {
    if (this.retries.length >= MAX_RETRIES) return false;
    this.retries.push(retry);
    return true;
  }

  /** Another attempt has ended. */
  retried(retry: Retry): void {
    const at = this.retries.indexOf(retry);
    if (at !== -1) this.retries.splice(at, 1);
  }

  failed(failure: PrewarmFailure): void {
    if (this.failures.length < MAX_FAILURES) this.failures.push(failure);
  }

  /** Something that is no object could not be done, such as a list. */
  failedTarget(failure: PrewarmFailure): void {
    const tally = { ...emptyTally(), objects: 1, failed: 1 };
    addTally(this.now, tally);
    addTally(this.#settled, tally);
    this.failed(failure);
  }

  #objectOf(tally: Tally, onEnd: () => void): ObjectProgress {
    return {
      get sizeBytes() {
        return tally.totalBytes;
      },
      sized: (sizeBytes) => this.#add(tally, { totalBytes: sizeBytes - tally.totalBytes }),
      stored: (lengthBytes, originBytes) => {
        const found = Math.max(0, lengthBytes - originBytes);
        const carried = Math.min(found, this.#carriedBytes);
        this.#carriedBytes -= carried;
        this.#add(tally, {
          doneBytes: lengthBytes,
          originBytes: originBytes + carried,
          storedBytes: found - carried,
        });
      },
      restart: () => {
        this.#carriedBytes += tally.originBytes;
        const { doneBytes, originBytes, storedBytes } = tally;
        this.#add(tally, { doneBytes: -doneBytes, originBytes: -originBytes, storedBytes: -storedBytes });
      },
      end: (outcome) => {
        if (outcome !== 'later') this.#add(tally, { [outcome]: 1 });
        onEnd();
      },
    };
  }

  #add(tally: Tally, change: Partial<Tally>): void {
    const added = { ...emptyTally(), ...change };
    addTally(tally, added);
    addTally(this.now, added);
  }

  #settle(): void {
    let count = 0;
    for (const entry of this.#entries) {
      if (!entry.hasEnded) break;
      addTally(this.#settled, entry.tally);
      ({ target: this.#target, after: this.#after } = entry);
      count += 1;
    }
    if (count === 0) return;
    this.#entries.splice(0, count);
    this.#onRoom?.();
  }
}
