/** One call to a peer: skipped if the peer is dead, ended if it gives no sign of life, and recorded in its health. */
import type { PeerAddress } from '#cache/engine/ports.ts';
import { WireError } from '#cache/wire/http1/errors.ts';
import type { Log } from '#shared/log.ts';
import { guardCall, type GuardedCall } from './guarded-call.ts';
import type { Silence } from './heartbeat/peer-watch.ts';
import { peerUnavailable } from './peer-error.ts';
import type { Attempt } from './peer-health.ts';
import { SKIP_DEAD_MS, type Peer } from './peer-table.ts';

/** Heartbeats show that the peer lives, but its main loop has been late for all this time: a client waits no longer. */
export const STARVED_AFTER_MS = 10_000;
/** A frozen peer that answers heartbeats again is used at once. If those are filtered by now, one call tries. */
const FROZEN_AT_MOST_MS = 30_000;

export interface PeerCall {
  readonly signal: AbortSignal;
  /** For the wire. */
  readonly silenceTimeoutMs: number;
  readonly alive: () => void;
  /** The status line has arrived. */
  readonly answered: () => void;
}

export interface PeerCallOptions {
  readonly signal: AbortSignal;
  /** Without heartbeats. */
  readonly deadAfterMs: number;
  /** Transport failures count in the peer's health; what heartbeats show always does. */
  readonly isJudged: boolean;
  readonly log: Log;
}

/** Rejects with peer_unavailable if the peer could not be called, or with what `run` throws. */
export async function callPeer<T>(
  address: PeerAddress,
  { health, watch }: Peer,
  options: PeerCallOptions,
  run: (call: PeerCall) => Promise<T>,
): Promise<T> {
  const { signal, deadAfterMs, isJudged, log } = options;
  const attempt = health.ask();
  if (attempt === undefined)
    throw peerUnavailable(address, 'skipped: it was dead a moment ago', { details: 'skipped' });
  const onSilence = ({ reason, silentMs }: Silence): void => {
    if (reason === 'frozen') attempt.dead({ isBack: () => watch?.isBack() === true, atMostMs: FROZEN_AT_MOST_MS });
    else if (isJudged || reason === 'refused') attempt.dead();
    log.warn(`peer: ${reason}`, { peer: address, silentMs, skipMs: reason === 'frozen' ? undefined : SKIP_DEAD_MS });
  };
  const guard = watch && guardCall(address, watch, signal, onSilence);
  try {
    return await run(guard === undefined ? unguarded(signal, deadAfterMs, attempt) : guarded(guard, attempt));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (isJudged && (error.failure === 'connect' || error.failure === 'silence')) attempt.dead();
    throw peerUnavailable(address, error.message, { cause: error, details: error.failure });
  } finally {
    guard?.done();
    // Ends the attempt, whatever the outcome; without effect after `alive` or `dead`.
    attempt.abandoned();
  }
}

function unguarded(signal: AbortSignal, silenceTimeoutMs: number, attempt: Attempt): PeerCall {
  return { signal, silenceTimeoutMs, alive: () => attempt.alive(), answered: () => attempt.alive() };
}

/** The monitor has all limits; that of the wire is a second one. */
function guarded(guard: GuardedCall, attempt: Attempt): PeerCall {
  return {
    signal: guard.signal,
    silenceTimeoutMs: STARVED_AFTER_MS * 2,
    alive() {
      attempt.alive();
      guard.alive();
    },
    answered() {
      attempt.alive();
      guard.answered();
    },
  };
}
