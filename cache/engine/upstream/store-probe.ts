/**
 * Finds out whether the cachestore's conditional writes are atomic. One replica probes and leaves a note in the store,
 * which the others adopt. Until the answer is known, commits check with a HEAD and then write unconditionally.
 */
import { randomBytes } from 'node:crypto';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import {
  decodeVerdict,
  describeVerdict,
  encodeVerdict,
  judgeConditionalWrites,
  MAINTENANCE_PROBLEMS,
  VERDICT_KEPT_MS,
  verdictKeptMs,
  type ConditionalWriteSupport,
  type StoreVerdict,
} from '#cache/core/store-verdict.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { ChunkStore, Clock, Observer, PeerView, ProbedStore } from '#cache/engine/ports.ts';
import { backoffMs } from '#shared/backoff.ts';

const NOTE = '_orca/store-verdict';
const NOTE_TIMEOUT_MS = 5_000;
/** 128 MiB to a store that takes 2 MB/s: a slower one is not usable as a cachestore. */
const PROBE_TIMEOUT_MS = 60_000;
/** How long each replica waits for every replica that ranks before it; a probe takes a second or two. */
const TURN_MS = 10_000;
/** After this many replicas failed, the order does not matter any more. */
const MAX_TURNS = 8;
/** Reading a note is cheap, and a store that recovers should be noticed soon. */
const NOTE_BACKOFF_MS = 2_000;
const NOTE_BACKOFF_MAX_MS = 60_000;
/** A probe moves 128 MiB, and a store that refuses it once will refuse it again. */
const PROBE_BACKOFF_MS = 60_000;
const PROBE_BACKOFF_MAX_MS = 60 * 60_000;

export interface StoreProbeOptions {
  /** Behind its circuit breaker: while that is open, nothing is probed. */
  readonly guarded: ChunkStore;
  readonly store: ProbedStore;
  readonly peers: PeerView;
  readonly clock: Clock;
  readonly observer: Pick<Observer, 'storeRequest' | 'warn'>;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called with each verdict that is found or adopted. */
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

  get condition(): ConditionalWriteSupport | 'unknown' {
    return this.#verdict?.condition ?? 'unknown';
  }

  /** One line for status messages. */
  describe(): string {
    if (this.#verdict !== undefined) return describeVerdict(this.#verdict);
    return `conditional-write support has not been probed yet; commits check before they write${this.#failure === '' ? '' : ` (${this.#failure})`}`;
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
          waitMs = this.#untilMs() - clock.date();
        } catch (error) {
          signal.throwIfAborted();
          this.#failed(error);
          const jitter = 0.5 + random() / 2;
          waitMs = isProbing
            ? backoffMs(failures, PROBE_BACKOFF_MS, PROBE_BACKOFF_MAX_MS, jitter)
            : backoffMs(failures, NOTE_BACKOFF_MS, NOTE_BACKOFF_MAX_MS, jitter);
          failures++;
        }
        // A clock that was set back must not make a verdict outlive its time.
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

  /** Waits while other replicas may be probing; their verdict, or undefined when it is our turn. */
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
      const condition = judgeConditionalWrites(findings);
      if (condition === undefined)
        throw new OrcaError(
          'store_unavailable',
          `the probe of conditional writes was inconclusive: ${JSON.stringify(findings)}`,
        );
      const { problems, versioned } = findings;
      const verdict = { condition, problems, versioned, probedAtMs: clock.date() };
      outcome = condition;
      this.#adopt(verdict, 'probed');
      const body = encodeVerdict(verdict);
      await this.#within(NOTE_TIMEOUT_MS, signal, (bounded) => guarded.putSmall(NOTE, body, { signal: bounded }));
    } catch (error) {
      // The verdict stands; without the note the other replicas probe for themselves.
      if (outcome === 'error') throw error;
      signal.throwIfAborted();
      observer.warn('cachestore probe: the result could not be saved in the cachestore', { error });
    } finally {
      observer.storeRequest('probe', outcome, clock.now() - startedMs);
    }
  }

  #adopt(verdict: StoreVerdict, source: 'probed' | 'noted'): void {
    const { store, onVerdict } = this.#options;
    this.#verdict = verdict;
    this.#failure = '';
    // The outcome of a race proves nothing where the store does not return the bytes that were written.
    const isReadable = verdict.problems.every((problem) => MAINTENANCE_PROBLEMS.has(problem));
    store.trustConditions(verdict.condition === 'atomic' && isReadable);
    onVerdict(verdict, source);
  }

  /** When the verdict is due to be replaced. */
  #untilMs(): number {
    return this.#verdict === undefined ? 0 : this.#verdict.probedAtMs + verdictKeptMs(this.#verdict);
  }

  #failed(error: unknown): void {
    const { message } = asOrcaError(error, 'store_unavailable', 'the cachestore could not be probed');
    // Logged once, not for every attempt.
    if (message !== this.#failure) this.#options.observer.warn('cachestore probe failed', { error });
    this.#failure = message;
  }

  async #within<T>(limitMs: number, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `no answer within ${limitMs} ms`);
    return withDeadline(this.#options.clock, limitMs, late, signal, call);
  }
}
