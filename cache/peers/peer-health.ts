/** Whether a peer is worth asking: one that was dead is left alone for a while, then a single request finds out. */
import type { Clock } from '#shared/clock.ts';

export interface PeerHealth {
  /** Undefined = do not ask. Each attempt must be told how it ended, at least by `abandoned`. */
  ask(): Attempt | undefined;
}

export interface Attempt {
  /** It gave a sign of life, whatever it said, and may still die. */
  alive(): void;
  dead(): void;
  /** The attempt is over; without one of the others nothing was learned. */
  abandoned(): void;
}

export function peerHealth(clock: Clock, skipMs: number): PeerHealth {
  let skipUntilMs: number | undefined;
  let probing = false;
  return {
    ask() {
      if (skipUntilMs !== undefined && (clock.now() < skipUntilMs || probing)) return undefined;
      const isProbe = skipUntilMs !== undefined;
      probing = isProbe;
      let settled = false;
      const settle = (): void => {
        // Once: by the end of a long stream another attempt may be the probe.
        if (isProbe && !settled) probing = false;
        settled = true;
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
