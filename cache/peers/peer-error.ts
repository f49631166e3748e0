/** The error of a peer that can't be used: its caller continues with the next source. */
import { OrcaError, type OrcaErrorOptions } from '#cache/core/errors.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';

export function peerUnavailable(address: PeerAddress, message: string, options: OrcaErrorOptions = {}): OrcaError {
  return new OrcaError('peer_unavailable', `peer ${address}: ${message}`, options);
}
