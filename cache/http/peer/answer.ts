/** Final responses between replicas: each carries a proof made with the key whose MAC was accepted. */
import type { ServerResponse } from 'node:http';
import type { OrcaError } from '#cache/core/errors.ts';
import { PROOF_HEADER, proveAnswer } from '#cache/core/peer/auth.ts';
import { formatNotCoordinator, refusalOf } from '#cache/core/peer/refusal.ts';

/** The authenticated request that a response is proved for; undefined = development without keys: no proofs. */
export interface Requester {
  readonly key: Uint8Array;
  readonly nonce: string;
  readonly dateMs: number;
}

export interface AnswerHead {
  readonly status: number;
  readonly lengthBytes: number;
  /** The ETag of the object version that the call concerns; empty if it concerns none. */
  readonly etag: string;
  /** The whole body of a response without object bytes, or a 204's X-Orca-Chunk. */
  readonly reason: string;
}

export function proofOf(requester: Requester | undefined, head: AnswerHead): Record<string, string> {
  if (requester === undefined) return {};
  return { [PROOF_HEADER]: proveAnswer(requester.key, { nonce: requester.nonce, ...head }) };
}

export function sendEmpty(
  response: ServerResponse,
  requester: Requester | undefined,
  etag: string,
  headers: Record<string, string>,
  reason: string,
): void {
  response.writeHead(204, { ...headers, ...proofOf(requester, { status: 204, lengthBytes: 0, etag, reason }) });
  response.end();
}

export function sendJson(
  response: ServerResponse,
  requester: Requester | undefined,
  status: number,
  etag: string,
  body: string,
  headers: Record<string, string> = {},
): void {
  const lengthBytes = Buffer.byteLength(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': lengthBytes,
    ...headers,
    ...proofOf(requester, { status, lengthBytes, etag, reason: body }),
  });
  response.end(body);
}

/** Answers with an error. If the status line has already been sent, it closes the connection instead. */
export function sendRefusal(
  response: ServerResponse,
  requester: Requester | undefined,
  etag: string,
  error: OrcaError,
  epoch: string,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const refusal = refusalOf(error);
  if (refusal !== undefined) {
    const { status, body, retryAfterSeconds } = refusal;
    const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
    sendJson(response, requester, status, etag, body, headers);
    return;
  }
  if (error.code === 'not_coordinator') {
    sendJson(response, requester, 409, etag, formatNotCoordinator({ owner: undefined, epoch }));
    return;
  }
  const isBadRequest = error.code === 'bad_request';
  const body = JSON.stringify({ reason: error.code, message: isBadRequest ? error.message : 'internal error' });
  sendJson(response, requester, isBadRequest ? 400 : 500, etag, body);
}
