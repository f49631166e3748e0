/** `POST /internal/reads` and `POST /internal/usage`: the reports from which the cachestore's contents are counted and evicted. */
import { MAX_REPORT_BYTES } from '#cache/core/capacity/report-codec.ts';
import { decodeUsageReport, encodeUsageAnswer, MAX_USAGE_BYTES } from '#cache/core/capacity/usage-codec.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { isSignedBody } from '#cache/core/peer/report-request.ts';
import { sendEmpty, sendJson } from './answer.ts';
import type { PeerCall } from './call.ts';
import type { RequestBodies } from './request-body.ts';

export async function receiveReads(call: PeerCall, bodies: RequestBodies): Promise<string> {
  const body = await bodyOf(call, bodies, MAX_REPORT_BYTES);
  call.admitOnce();
  call.options.engine.capacity.receiveReads(body);
  call.stopProcessing();
  sendEmpty(call.response, call.requester, '', {}, '');
  return 'ok';
}

export async function receiveUsage(call: PeerCall, bodies: RequestBodies): Promise<string> {
  const body = await bodyOf(call, bodies, MAX_USAGE_BYTES);
  call.admitOnce();
  const answer = call.options.engine.capacity.receiveUsage(decodeUsageReport(body));
  call.stopProcessing();
  sendJson(call.response, call.requester, 200, '', Buffer.from(encodeUsageAnswer(answer)).toString('utf8'));
  return 'ok';
}

async function bodyOf(call: PeerCall, bodies: RequestBodies, maxBytes: number): Promise<Uint8Array> {
  const { options, request, response, requester, query, signal } = call;
  try {
    if (query !== '') throw new OrcaError('bad_request', 'the call has no query');
    const body = await bodies.read(request, { maxBytes, clock: options.clock, signal });
    if (requester !== undefined && !isSignedBody(request.headers, body))
      throw new OrcaError('bad_request', 'the body is not the one that was signed');
    return body;
  } catch (error) {
    // Bytes of the body may follow.
    if (!response.headersSent) response.setHeader('Connection', 'close');
    throw error;
  }
}
