/** Signs a request to a replica and verifies the proof of its response. Without keys it does neither (development). */
import { randomBytes } from 'node:crypto';
import { NONCE_BYTES, PROOF_HEADER, signRequest, verifyAnswer, type PeerKeys } from '#cache/core/peer/auth.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { peerUnavailable } from './peer-error.ts';

export interface CallToSign {
  readonly method: 'GET' | 'POST';
  readonly target: string;
  /** The ETag of the object version that the call concerns; empty if it concerns none. */
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SignedCall {
  readonly headers: Readonly<Record<string, string>>;
  /** Throws peer_unavailable for a response without a valid proof. `reason` is the text that the proof covers. */
  verify(status: number, headers: ResponseHeaders, lengthBytes: number, reason: string): void;
}

const NO_BODY = new Uint8Array(0);

export function signCall(
  keys: PeerKeys | undefined,
  nowMs: number,
  address: PeerAddress,
  { method, target, etag, headers }: CallToSign,
): SignedCall {
  if (keys === undefined) return { headers, verify: () => {} };
  const nonce = randomBytes(NONCE_BYTES).toString('base64url');
  const signature = signRequest(keys, { method, target, receiver: address, headers, body: NO_BODY }, nowMs, nonce);
  return {
    headers: { ...headers, ...signature },
    verify(status, answered, lengthBytes, reason) {
      if (!verifyAnswer(keys, { nonce, status, lengthBytes, etag, reason }, answered[PROOF_HEADER]))
        throw peerUnavailable(address, `its ${status} response has no valid proof: check that both have the same key`, {
          status,
          details: 'no_proof',
        });
    },
  };
}
