/**
 * How many bytes of one response may wait in Node for its socket: few while the client's speed is unknown, more with
 * what it takes, and few again after a stall.
 */
import type { Clock } from '#cache/engine/ports.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';

/** Four segments in the socket's queue keep it busy while the next are fetched (4.7 GB/s, against 4.2 with one). */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/**
 * What TLS encrypts is a copy outside of pooled memory, and Node keeps buffers of that size for as long as the connection
 * is open: after writes of 256, 128 and 64 KiB a connection holds 0.55, 0.3 and 0.14 MiB. With eight clients these cost
 * 1.49, 1.48 and 1.87 s/GiB; 4 MiB cost as much as 256 KiB.
 */
const MAX_UNSENT_TLS_BYTES = 128 * 1024;
/**
 * The limit while the client's speed is unknown. What the client takes is added, so that a fast one has the maximum
 * after a MiB or two.
 */
export const FIRST_UNSENT_BYTES = 64 * 1024;
/**
 * A client that was found slow is slow until it takes the maximum without a longer pause. The kernel's buffer takes a
 * MiB or two at once whenever it wakes the writer, whatever the client's speed.
 */
const PAUSE_MS = 1_000;

export interface UnsentLimit {
  /** The maximum number of unsent bytes while more is fetched, and the maximum size of one write. */
  bytes(): number;
  /** The number of stalls so far. */
  stalls(): number;
  /** The socket took bytes that were written after `stalls` stalls. */
  taken(takenBytes: number, stalls: number): void;
  stalled(): void;
}

/** How much is queued outside of pooled memory, by all responses. */
export interface QueuedMemory {
  readonly isQueueFull: boolean;
  countQueued(lengthBytes: number): void;
}

/** A closure, as all state of one response; `openWriter` in `body-writer.ts` gives the reason. */
export function unsentLimit(clock: Clock, pace: ReaderPace, tls: QueuedMemory | undefined): UnsentLimit {
  let limitBytes = FIRST_UNSENT_BYTES;
  let stallCount = 0;
  /** What a slow client has taken since its last pause, and when it last took bytes. */
  let steadyBytes = 0;
  let takenAtMs = 0;
  return {
    bytes() {
      if (tls === undefined) return limitBytes;
      return Math.min(limitBytes, tls.isQueueFull ? FIRST_UNSENT_BYTES : MAX_UNSENT_TLS_BYTES);
    },
    stalls: () => stallCount,
    taken(takenBytes, stalls) {
      // Bytes handed over before a stall do not indicate the speed after it.
      if (stalls !== stallCount) return;
      if (!pace.isSlow) {
        limitBytes = Math.min(limitBytes + takenBytes, MAX_UNSENT_BYTES);
        return;
      }
      const nowMs = clock.now();
      if (nowMs - takenAtMs > PAUSE_MS) steadyBytes = 0;
      takenAtMs = nowMs;
      steadyBytes += takenBytes;
      if (steadyBytes < MAX_UNSENT_BYTES) return;
      limitBytes = MAX_UNSENT_BYTES;
      pace.recovered();
    },
    stalled() {
      stallCount++;
      steadyBytes = 0;
      limitBytes = FIRST_UNSENT_BYTES;
      pace.stalled();
    },
  };
}
