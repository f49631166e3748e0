/** Final answers between replicas: each carries the proof of the key whose MAC was accepted. */
import type { ServerResponse } from 'node:http';
import type { OrcaError } from '#cache/core/errors.ts';
import { formatNotCoordinator, refusalOf } from '#cache/core/peer/refusal.ts';
import { PROOF_HEADER, proveAnswer } from '#cache/core/peer/auth.ts';

/** Who asked, as far as the MAC tells; undefined = development without keys: no proofs. */
export interface Asker {
  readonly key: Uint8Array;
  readonly nonce: string;
  readonly dateMs: number;
}

export interface AnswerHead {
  readonly status: number;
  readonly lengthBytes: number;
  /** Of the object version that the call is about; empty where it is about none. */
  readonly etag: string;
  /** The whole body of an answer without object bytes, or a 204's X-Orca-Chunk. */
  readonly reason: string;
}

export function proofOf(asker: Asker | undefined, head: AnswerHead): Record<string, string> {
  if (asker === undefined) return {};
  return { [PROOF_HEADER]: proveAnswer(asker.key, { nonce: asker.nonce, ...head }) };
}

export function sendEmpty(
  response: ServerResponse,
  asker: Asker | undefined,
  etag: string,
  headers: Record<string, string>,
  reason: string,
): void {
  response.writeHead(204, { ...headers, ...proofOf(asker, { status: 204, lengthBytes: 0, etag, reason }) });
  response.end();
}

export function sendJson(
  response: ServerResponse,
  asker: Asker | undefined,
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
    ...proofOf(asker, { status, lengthBytes, etag, reason: body }),
  });
  response.end(body);
}

/** An error as the asker is to see it; after the status line the connection breaks. */
export function sendRefusal(
  response: ServerResponse,
  asker: Asker | undefined,
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
    sendJson(response, asker, status, etag, body, headers);
    return;
  }
  if (error.code === 'not_coordinator') {
    sendJson(response, asker, 409, etag, formatNotCoordinator({ owner: undefined, epoch }));
    return;
  }
  const isRequest = error.code === 'bad_request';
  const body = JSON.stringify({ reason: error.code, message: isRequest ? error.message : 'internal error' });
  sendJson(response, asker, isRequest ? 400 : 500, etag, body);
}
