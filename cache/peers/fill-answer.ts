/** The meaning of a peer's responses. */
import { OrcaError } from '#cache/core/errors.ts';
import { parsePeerAddress } from '#cache/core/peer-set.ts';
import { parseNotCoordinator, parseRefusal } from '#cache/core/peer/refusal.ts';
import type { WarmAnswer } from '#cache/core/peer/warm-request.ts';
import type { FillAnswer, FillRequest, FillSource, PeerAddress, WarmResult } from '#cache/engine/ports.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { peerUnavailable } from './peer-error.ts';
import type { SignedCall } from './signed-call.ts';

/** Throws peer_unavailable for a 200 without exactly the requested bytes or without a proof. */
export function checkFillHead(
  address: PeerAddress,
  call: SignedCall,
  status: number,
  headers: ResponseHeaders,
  lengthBytes: number,
): void {
  if (status === 206) throw peerUnavailable(address, 'unexpected 206 response', { status });
  if (status !== 200) return;
  if (headers['content-length'] !== String(lengthBytes) || (headers['content-encoding'] ?? '') !== '')
    throw peerUnavailable(address, `its body is not the ${lengthBytes} bytes requested`, { status });
  call.verify(status, headers, lengthBytes, '');
}

interface RefusedFill {
  readonly status: number;
  /** X-Orca-Chunk. */
  readonly state: string;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

/** The answer to a fill without bytes. Throws the error that the peer reports, or peer_unavailable. */
export function fillAnswerOf(
  address: PeerAddress,
  reason: FillRequest['reason'],
  { status, state, text, retryAfter }: RefusedFill,
): FillAnswer {
  if (status === 204 && state === 'stored') return { kind: state };
  if (status === 204 && state === 'none' && (reason === 'join' || reason === 'commit')) return { kind: state };
  if (status === 409) {
    const views = parseNotCoordinator(text);
    if (views !== undefined) return { kind: 'not_coordinator', owner: ownerOf(views.owner), epoch: views.epoch };
  }
  throw refusalOf(address, status, text, retryAfter);
}

/** Throws store_unavailable, not_coordinator, or peer_unavailable for no answer. */
export function warmResultOf(address: PeerAddress, answer: WarmAnswer | undefined): WarmResult {
  switch (answer?.state) {
    case 'stored':
      return { originBytes: answer.originBytes };
    case 'not_stored':
      throw new OrcaError('store_unavailable', `peer ${address}: ${answer.message}`);
    case 'not_coordinator':
      throw new OrcaError(
        'not_coordinator',
        `peer ${address}: it takes ${answer.owner ?? 'another one'} for the owner`,
      );
    case undefined:
      throw peerUnavailable(address, 'its response is not one about a chunk');
  }
}

/** The error that the peer reports; peer_unavailable for any other response. */
export function refusalOf(
  address: PeerAddress,
  status: number,
  text: string,
  retryAfter: string | undefined,
): OrcaError {
  return (
    parseRefusal(`peer ${address}`, status, text, retryAfter) ??
    peerUnavailable(address, `unexpected ${status} response`, { status })
  );
}

/** A missing or unknown source counts as the origin, so that the hit ratio is never too high. */
export function sourceOf(text: string | undefined): FillSource {
  return text === 'memory' || text === 'store' ? text : 'flight';
}

/** Undefined for an owner that is missing or not an address. */
function ownerOf(text: string | undefined): PeerAddress | undefined {
  if (text === undefined) return undefined;
  try {
    return parsePeerAddress(text);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
