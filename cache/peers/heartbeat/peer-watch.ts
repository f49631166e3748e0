/**
 * What is known about the liveness of one peer: from its calls, whose signs of life always count, and from heartbeats
 * while they are silent.
 */
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { Clock } from '#shared/clock.ts';
import type { Pinger, PingLine } from './pinger.ts';

/**
 * - `frozen`: neither the process nor its liveness thread responds, or the network is cut.
 * - `refused`: its machine responds that there is no process.
 * - `starved`: the thread responds, but the main loop has been late for longer than any client should wait.
 * - `silence`: the main loop turns, or the peer does not answer heartbeats, and the call got no answer.
 */
export type SilenceReason = 'frozen' | 'refused' | 'starved' | 'silence';

export interface Silence {
  readonly reason: SilenceReason;
  readonly silentMs: number;
}

export interface Limits {
  /** Without heartbeats, or if they show no reason to wait. */
  readonly deadAfterMs: number;
  /** While heartbeats show a main loop that is late. */
  readonly starvedAfterMs: number;
}

export interface WatchedCall {
  alive(): void;
  /** Its response has begun, or it has failed. */
  ended(): void;
}

interface Call {
  aliveAtMs: number;
  readonly onSilence: (silence: Silence) => void;
}

interface PeerWatchOptions {
  readonly pinger: Pinger;
  readonly clock: Clock;
  readonly limits: Limits;
  /** The time that this process has run. */
  readonly ownMs: () => number;
  readonly onWaiting: () => void;
}

/** Most calls are answered before, and a peer that waits for its origin sends a 102 after 500 ms. */
const PING_AFTER_MS = 300;
const PING_INTERVAL_MS = 200;
/**
 * Without an answer to any ping: four are lost. Together with `PING_AFTER_MS`, a tick and the next source, the first byte
 * arrives within 1.5 s.
 */
const FROZEN_AFTER_MS = 800;
/** A main loop that turns every 50 ms, and is late by twice that. */
const LATE_MS = 150;
/** A peer that starts is proven soon; one of an older release, which never answers, costs one datagram per second. */
export const PROVE_INTERVAL_MS = 1_000;

export class PeerWatch {
  readonly #address: PeerAddress;
  readonly #options: PeerWatchOptions;
  readonly #line: PingLine;
  readonly #calls = new Set<Call>();
  /** It has answered a ping: from then on, no answer has a meaning. */
  #isProven = false;
  #isFrozen = false;
  #provedAtMs = Number.NEGATIVE_INFINITY;
  #pingedAtMs = Number.NEGATIVE_INFINITY;
  /** When the first of the pings was sent that have no answer, by this process's own time. */
  #unansweredAtMs: number | undefined;
  /** The latest that its main loop was, since a call is silent. */
  #lateMs = 0;
  #isKnocking = false;

  constructor(address: PeerAddress, options: PeerWatchOptions) {
    this.#address = address;
    this.#options = options;
    this.#line = options.pinger.open(address, {
      onAnswer: (mainAgeMs) => this.#answered(mainAgeMs),
      onRefused: () => void this.#refused(),
      onUnsent: () => this.#unproven(),
    });
  }

  get isWaiting(): boolean {
    return this.#calls.size > 0;
  }

  get isProven(): boolean {
    return this.#isProven;
  }

  begin(onSilence: (silence: Silence) => void): WatchedCall {
    // What was found out about calls that have ended is too old.
    if (this.#calls.size === 0) this.#forget();
    this.#options.onWaiting();
    const call: Call = { aliveAtMs: this.#options.ownMs(), onSilence };
    this.#calls.add(call);
    this.prove();
    return {
      alive: () => {
        call.aliveAtMs = this.#options.ownMs();
        this.#unansweredAtMs = undefined;
      },
      ended: () => this.#calls.delete(call),
    };
  }

  /** A frozen peer that answers again is back; each call of this function pings it. */
  isBack(): boolean {
    if (!this.#isFrozen) return true;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#provedAtMs >= PING_INTERVAL_MS) {
      this.#provedAtMs = nowMs;
      this.#line.ping();
    }
    return false;
  }

  close(): void {
    this.#line.close();
  }

  /** Pings if a call is silent. True if a verdict is due, which `judge` gives once all pending data is read. */
  check(): boolean {
    const nowMs = this.#options.ownMs();
    const silentMs = this.#silentMs(nowMs);
    if (silentMs < PING_AFTER_MS) {
      this.#forget();
      return false;
    }
    if (this.#isProven && nowMs - this.#pingedAtMs >= PING_INTERVAL_MS) {
      this.#pingedAtMs = nowMs;
      this.#unansweredAtMs ??= nowMs;
      this.#line.ping();
    }
    return this.#isUnanswered(nowMs) || silentMs >= this.#limits().limitMs;
  }

  judge(): void {
    const nowMs = this.#options.ownMs();
    if (this.#isUnanswered(nowMs) && !this.#isKnocking) {
      this.#isFrozen = true;
      this.#fail('frozen');
      return;
    }
    const { limitMs, reason } = this.#limits();
    for (const call of this.#calls) if (nowMs - call.aliveAtMs >= limitMs) this.#end(call, reason, nowMs);
  }

  #isUnanswered(nowMs: number): boolean {
    return this.#isProven && this.#unansweredAtMs !== undefined && nowMs - this.#unansweredAtMs >= FROZEN_AFTER_MS;
  }

  #limits(): { readonly limitMs: number; readonly reason: SilenceReason } {
    const { deadAfterMs, starvedAfterMs } = this.#options.limits;
    const isLate = this.#isProven && this.#lateMs >= LATE_MS;
    return isLate ? { limitMs: starvedAfterMs, reason: 'starved' } : { limitMs: deadAfterMs, reason: 'silence' };
  }

  #silentMs(nowMs: number): number {
    let silentMs = 0;
    for (const { aliveAtMs } of this.#calls) silentMs = Math.max(silentMs, nowMs - aliveAtMs);
    return silentMs;
  }

  /** A verdict about the peer ends all of its calls. */
  #fail(reason: SilenceReason): void {
    this.#unansweredAtMs = undefined;
    const nowMs = this.#options.ownMs();
    for (const call of this.#calls) this.#end(call, reason, nowMs);
  }

  #end(call: Call, reason: SilenceReason, nowMs: number): void {
    this.#calls.delete(call);
    call.onSilence({ reason, silentMs: nowMs - call.aliveAtMs });
  }

  #forget(): void {
    this.#unansweredAtMs = undefined;
    this.#lateMs = 0;
  }

  /** Pings a peer that has not answered yet. */
  prove(): void {
    const nowMs = this.#options.clock.now();
    if (this.#isProven || nowMs - this.#provedAtMs < PROVE_INTERVAL_MS) return;
    this.#provedAtMs = nowMs;
    this.#line.ping();
  }

  #answered(mainAgeMs: number): void {
    this.#isProven = true;
    this.#isFrozen = false;
    this.#unansweredAtMs = undefined;
    this.#lateMs = Math.max(this.#lateMs, mainAgeMs);
  }

  /** From now on it is judged by its calls alone, until it answers again. */
  #unproven(): void {
    this.#isProven = false;
    this.#isFrozen = false;
    this.#unansweredAtMs = undefined;
  }

  /** No thread responds there. If the process accepts connections, it has lost its thread, or is an older release. */
  async #refused(): Promise<void> {
    if (!this.#isProven || this.#isKnocking) return;
    this.#isKnocking = true;
    const outcome = await this.#options.pinger.knock(this.#address);
    this.#isKnocking = false;
    this.#unproven();
    if (outcome === 'refused') this.#fail('refused');
  }
}
