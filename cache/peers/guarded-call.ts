/** Ends a call to a peer once the monitor has a verdict about its silence. */
import type { OrcaError } from '#cache/core/errors.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { PeerWatch, Silence, SilenceReason } from './heartbeat/peer-watch.ts';
import { peerUnavailable } from './peer-error.ts';

export interface GuardedCall {
  /** Aborts with the caller's signal, or with the verdict as `peer_unavailable`. */
  readonly signal: AbortSignal;
  readonly verdict: SilenceReason | undefined;
  readonly alive: () => void;
  /** Its response has begun: from then on, the limits of a body apply. */
  readonly answered: () => void;
  /** To be called once, however the call has ended. */
  done(): void;
}

const MEANINGS: Readonly<Record<SilenceReason, string>> = {
  frozen: 'it is frozen or cut off: it answered neither the call nor heartbeats',
  refused: 'its process has ended: heartbeats and connections are refused',
  starved: 'its main loop is late for too long: it answered heartbeats, but not the call',
  silence: 'it did not answer the call',
};

export function guardCall(
  address: PeerAddress,
  watch: PeerWatch,
  signal: AbortSignal,
  onSilence: (silence: Silence) => void,
): GuardedCall {
  const controller = new AbortController();
  let verdict: SilenceReason | undefined;
  const watched = watch.begin((silence) => {
    verdict = silence.reason;
    onSilence(silence);
    controller.abort(errorOf(address, silence));
  });
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return {
    signal: controller.signal,
    get verdict() {
      return verdict;
    },
    alive: () => watched.alive(),
    answered: () => watched.ended(),
    done() {
      watched.ended();
      signal.removeEventListener('abort', onAbort);
    },
  };
}

function errorOf(address: PeerAddress, { reason, silentMs }: Silence): OrcaError {
  return peerUnavailable(address, `${MEANINGS[reason]} for ${Math.round(silentMs)} ms`, { details: reason });
}
