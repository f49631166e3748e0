/**
 * Circuit breaker of one peer: a dead peer is skipped for a while, or until there is another sign that it is back. Then a
 * single request probes it.
 */
import type { Clock } from '#shared/clock.ts';

export interface PeerHealth {
  /** Undefined = skip this peer. Every attempt must be ended, at least by `abandoned`. */
  ask(): Attempt | undefined;
}

export interface Attempt {
  /** The peer gave a sign of life, whatever its response; it may still die later. */
  alive(): void;
  /** Default: until the skip time has passed. */
  dead(until?: Retry): void;
  /** Ends the attempt without a result; without effect after `alive` or `dead`. */
  abandoned(): void;
}

export interface Retry {
  /** Called by each `ask` meanwhile. */
  readonly isBack: () => boolean;
  /** A request probes the peer after that, whatever `isBack` returns. */
  readonly atMostMs: number;
}

export function peerHealth(clock: Clock, skipMs: number): PeerHealth {
  let skipUntilMs: number | undefined;
  let isBack: Retry['isBack'] | undefined;
  let isProbing = false;
  return {
    ask() {
      if (skipUntilMs !== undefined) {
        if (isProbing) return undefined;
        if (clock.now() < skipUntilMs && isBack?.() !== true) return undefined;
      }
      const isProbe = skipUntilMs !== undefined;
      isProbing = isProbe;
      let isSettled = false;
      const settle = (): void => {
        // Only once: when a long stream ends, another attempt may be the probe.
        if (isProbe && !isSettled) isProbing = false;
        isSettled = true;
      };
      return {
        alive() {
          settle();
          skipUntilMs = isBack = undefined;
        },
        dead(until) {
          settle();
          skipUntilMs = clock.now() + (until?.atMostMs ?? skipMs);
          isBack = until?.isBack;
        },
        abandoned: settle,
      };
    },
  };
}
