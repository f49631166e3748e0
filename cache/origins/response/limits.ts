/** Time limits of one call to an origin, the same for every kind. */
import type { CallOptions } from '#cache/engine/ports.ts';

/** The longest wait for the first byte of one attempt; the engine's retry budget is built on it. */
const FIRST_BYTE_TIMEOUT_MS = 2_000;
/** A part that makes no progress for this long, while there is room for it, is continued on another connection. */
const STALL_TIMEOUT_MS = 10_000;

export function withLimits(call: CallOptions): CallOptions {
  return { firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS, stallTimeoutMs: STALL_TIMEOUT_MS, ...call };
}
