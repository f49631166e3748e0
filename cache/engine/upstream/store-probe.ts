/**
 * Whether the cachestore's conditional writes may be relied upon. One replica finds out and leaves a note in the store,
 * which the others take over; until somebody knows, commits look first and write plainly.
 */
import { randomBytes } from 'node:crypto';
import { backoffMs } from '#cache/core/backoff.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import {
  decodeVerdict,
  describeVerdict,
  encodeVerdict,
  judge,
  VERDICT_KEPT_MS,
  type Condition,
  type StoreVerdict,
} from '#cache/core/store-verdict.ts';
import { withDeadline } from '#cache/engine/abortable.ts';
import type { ChunkStore, Clock, Observer, PeerView, ProbedStore } from '#cache/engine/ports.ts';

const NOTE = '_orca/store-verdict';
const NOTE_TIMEOUT_MS = 5_000;
/** 128 MiB to a store that takes 2 MB/s: a slower one is no cachestore. */
const PROBE_TIMEOUT_MS = 60_000;
/** So long each replica leaves to those that rank before it; a probe takes a second or two. */
const TURN_MS = 10_000;
/** Behind that many who all failed, it does not matter any more who is next. */
const MAX_TURNS = 8;
/** Reading a note costs nothing, and a store that comes back should be known soon. */
const NOTE_BACKOFF_MS = 2_000;
const NOTE_BACKOFF_MAX_MS = 60_000;
/** A race moves 128 MiB: what refuses it once refuses it again. */
const PROBE_BACKOFF_MS = 60_000;
const PROBE_BACKOFF_MAX_MS = 60 * 60_000;

export interface StoreProbeOptions {
  /** Behind its breaker: while that is open nothing is probed. */
  readonly guarded: ChunkStore;
  readonly store: ProbedStore;
  readonly peers: PeerView;
  readonly clock: Clock;
  readonly observer: Pick<Observer, 'storeRequest' | 'warn'>;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called with each verdict that is found or taken over. */
  readonly onVerdict: (verdict: StoreVerdict, source: 'probed' | 'noted') => void;
}

export class StoreProbe {
  readonly #options: StoreProbeOptions;
  #verdict: StoreVerdict | undefined;
  #failure = '';

  constructor(options: StoreProbeOptions) {
    this.#options = options;
  }

  get verdict(): StoreVerdict | undefined {
    return this.#verdict;
  }

  get condition(): Condition | 'unknown' {
    return this.#verdict?.condition ?? 'unknown';
  }

  /** One line a person can act on. */
  describe(): string {
    if (this.#verdict !== undefined) return describeVerdict(this.#verdict);
    return `not known yet: commits look first${this.#failure === '' ? '' : ` (${this.#failure})`}`;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    try {
      while (!signal.aborted) {
        let waitMs: number;
        let isProbing = false;
        try {
          const verdict = (await this.#noted(signal)) ?? (await this.#inTurn(signal));
          isProbing = verdict === undefined;
          if (verdict === undefined) await this.#probe(signal);
          else this.#adopt(verdict, 'noted');
          failures = 0;
          waitMs = (this.#verdict?.probedAtMs ?? 0) + VERDICT_KEPT_MS - clock.date();
        } catch (error) {
          signal.throwIfAborted();
          this.#failed(error);
          const jitter = 0.5 + random() / 2;
          waitMs = isProbing
            ? backoffMs(failures, PROBE_BACKOFF_MS, PROBE_BACKOFF_MAX_MS, jitter)
            : backoffMs(failures, NOTE_BACKOFF_MS, NOTE_BACKOFF_MAX_MS, jitter);
          failures++;
        }
        // A clock that was set back makes no verdict older than it may get.
        await clock.sleep(Math.min(Math.max(waitMs, NOTE_BACKOFF_MS), VERDICT_KEPT_MS), signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #noted(signal: AbortSignal): Promise<StoreVerdict | undefined> {
    const { guarded, clock } = this.#options;
    const note = await this.#within(NOTE_TIMEOUT_MS, signal, (bounded) => guarded.getSmall(NOTE, { signal: bounded }));
    return note === undefined ? undefined : decodeVerdict(note, clock.date());
  }

  /** Waits while others may be at it: theirs, or undefined when it is our turn. */
  async #inTurn(signal: AbortSignal): Promise<StoreVerdict | undefined> {
    const { peers, clock } = this.#options;
    const { self, owners } = peers.current();
    const rank = rankPeers(NOTE, owners).indexOf(self);
    const turns = Math.min(rank < 0 ? owners.length : rank, MAX_TURNS);
    for (let turn = 0; turn < turns; turn++) {
      await clock.sleep(TURN_MS, signal);
      const verdict = await this.#noted(signal);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const { store, guarded, clock, observer } = this.#options;
    const startedMs = clock.now();
    let outcome = 'error';
    try {
      const name = `_orca/probe/${randomBytes(8).toString('hex')}`;
      const findings = await this.#within(PROBE_TIMEOUT_MS, signal, (bounded) =>
        store.probe(name, { signal: bounded }),
      );
      const condition = judge(findings);
      if (condition === undefined)
        throw new OrcaError('store_unavailable', `the store's answers prove nothing: ${JSON.stringify(findings)}`);
      const { problems, versioned } = findings;
      const verdict = { condition, problems, versioned, probedAtMs: clock.date() };
      outcome = condition;
      this.#adopt(verdict, 'probed');
      const body = encodeVerdict(verdict);
      await this.#within(NOTE_TIMEOUT_MS, signal, (bounded) => guarded.putSmall(NOTE, body, { signal: bounded }));
    } catch (error) {
      // What is known is known: the others only have to find out by themselves.
      if (outcome === 'error') throw error;
      signal.throwIfAborted();
      observer.warn('the verdict on the cachestore could not be noted there', { error });
    } finally {
      observer.storeRequest('probe', outcome, clock.now() - startedMs);
    }
  }

  #adopt(verdict: StoreVerdict, source: 'probed' | 'noted'): void {
    const { store, onVerdict } = this.#options;
    this.#verdict = verdict;
    this.#failure = '';
    // A store that does not give back what it was given proves nothing by who won.
    store.trustConditions(verdict.condition === 'atomic' && verdict.problems.every((problem) => problem === 'delete'));
    onVerdict(verdict, source);
  }

  #failed(error: unknown): void {
    const { message } = asOrcaError(error, 'store_unavailable', 'the cachestore could not be probed');
    // Said once, not with every try.
    if (message !== this.#failure) this.#options.observer.warn('what the cachestore can do is not known', { error });
    this.#failure = message;
  }

  async #within<T>(limitMs: number, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `no answer within ${limitMs} ms`);
    return withDeadline(this.#options.clock, limitMs, late, signal, call);
  }
}
