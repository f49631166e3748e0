/**
 * Watches the calls that wait for a sign of life of their peer, and pings peers that give none. Time in which this process
 * itself did not run does not count (docs/adr/0031-liveness-thread.md).
 */
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { Clock } from '#shared/clock.ts';
import { PeerWatch, type Limits } from './peer-watch.ts';
import type { Pinger } from './pinger.ts';

/** The precision of all limits here. */
const TICK_MS = 100;
/** A tick later than this was delayed by a lack of CPU time on this machine. */
const OWN_LAG_MS = 100;

export interface MonitorOptions {
  readonly pinger: Pinger;
  readonly clock: Clock;
  readonly limits: Limits;
}

export class PeerMonitor {
  readonly #pinger: Pinger;
  readonly #clock: Clock;
  readonly #limits: Limits;
  /** Peers with calls that wait. */
  readonly #waiting = new Set<PeerWatch>();
  #cancelTick: (() => void) | undefined;
  #tickedAtMs = 0;
  /** The time that this process has run while calls waited. */
  #ownMs = 0;

  constructor({ pinger, clock, limits }: MonitorOptions) {
    this.#pinger = pinger;
    this.#clock = clock;
    this.#limits = limits;
  }

  open(address: PeerAddress): PeerWatch {
    const watch: PeerWatch = new PeerWatch(address, {
      pinger: this.#pinger,
      clock: this.#clock,
      limits: this.#limits,
      ownMs: () => this.#now(),
      onWaiting: () => this.#start(watch),
    });
    return watch;
  }

  close(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#waiting.clear();
  }

  #start(watch: PeerWatch): void {
    this.#waiting.add(watch);
    if (this.#cancelTick !== undefined) return;
    this.#tickedAtMs = this.#clock.now();
    this.#arm();
  }

  #arm(): void {
    this.#cancelTick = this.#clock.after(TICK_MS, () => this.#tick());
  }

  #now(): number {
    if (this.#cancelTick === undefined) return this.#ownMs;
    return this.#ownMs + Math.min(this.#clock.now() - this.#tickedAtMs, TICK_MS);
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    const passedMs = nowMs - this.#tickedAtMs;
    this.#tickedAtMs = nowMs;
    this.#ownMs += passedMs > TICK_MS + OWN_LAG_MS ? TICK_MS : passedMs;
    const suspects: PeerWatch[] = [];
    for (const watch of this.#waiting) {
      if (!watch.isWaiting) this.#waiting.delete(watch);
      else if (watch.check()) suspects.push(watch);
    }
    // After a long turn of the event loop, timers fire before pending data is read: it is read before a verdict.
    if (suspects.length > 0) this.#clock.after(0, () => suspects.forEach((watch) => watch.judge()));
    if (this.#waiting.size > 0) this.#arm();
    else this.#cancelTick = undefined;
  }
}
