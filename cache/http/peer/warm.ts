/** `POST /internal/warm`: brings a chunk into the cachestore, in the background. */
import { hasCode } from '#cache/core/errors.ts';
import { encodeWarmAnswer, parseWarmQuery, parseWarmTerms, type WarmAnswer } from '#cache/core/peer/warm-request.ts';
import { sendJson } from './answer.ts';
import type { PeerCall } from './call.ts';
import { checkServed } from './check-served.ts';

/** `admitOnce`: throws bad_request for a replay. Resolves with the outcome for the metrics. */
export async function warm(call: PeerCall, admitOnce: () => void): Promise<string> {
  const { options, request, response, requester, signal } = call;
  const chunk = parseWarmQuery(call.query, options);
  const { etag } = chunk.object;
  call.etag = etag;
  call.chunk = chunk;
  checkServed(options, chunk.object);
  const { rank, knownAbsent } = parseWarmTerms(request.headers);
  admitOnce();
  const requestId = String(request.headers['x-orca-request-id'] ?? '');
  const answer = await answerOf(() => options.engine.warm.serve({ chunk, rank, knownAbsent, requestId, signal }));
  call.stopProcessing();
  sendJson(response, requester, 200, etag, encodeWarmAnswer(answer));
  return answer.state;
}

async function answerOf(serve: () => ReturnType<PeerCall['options']['engine']['warm']['serve']>): Promise<WarmAnswer> {
  try {
    const reply = await serve();
    return reply.kind === 'stored'
      ? { state: reply.kind, originBytes: reply.originBytes }
      : { state: reply.kind, owner: reply.owner };
  } catch (error) {
    if (hasCode(error, 'store_unavailable')) return { state: 'not_stored', message: error.message };
    throw error;
  }
}
