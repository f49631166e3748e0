/** Circuit breaker of one peer: a dead peer is skipped for a while, then a single request probes whether it is back. */
import type { Clock } from '#shared/clock.ts';

export interface PeerHealth {
  /** Undefined = skip this peer. Every attempt must be ended, at least by `abandoned`. */
  ask(): Attempt | undefined;
}

export interface Attempt {
  /** The peer gave a sign of life, whatever its response; it may still die later. */
  alive(): void;
  dead(): void;
  /** Ends the attempt without a result; without effect after `alive` or `dead`. */
  abandoned(): void;
}

export function peerHealth(clock: Clock, skipMs: number): PeerHealth {
  let skipUntilMs: number | undefined;
  let isProbing = false;
  return {
    ask() {
      if (skipUntilMs !== undefined && (clock.now() < skipUntilMs || isProbing)) return undefined;
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
          skipUntilMs = undefined;
        },
        dead() {
          settle();
          skipUntilMs = clock.now() + skipMs;
        },
        abandoned: settle,
      };
    },
  };
}
