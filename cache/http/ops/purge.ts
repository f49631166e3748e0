/**
 * `POST /purge`: drops an object's cached metadata in the whole cluster, with `chunks` also its chunks in the cachestore.
 * Requires the cluster's secret.
 */
import type { Context } from 'hono';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { nonceMemory, verifyRequest, type PeerKeys } from '#cache/core/peer/auth.ts';
import { parsePurgeQuery, type PurgeAnswer, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { PurgedChunks } from '#cache/engine/purge-chunks.ts';
import { rowFor } from '#cache/http/respond.ts';
import { withDeadline } from '#shared/abortable.ts';

/** Nonces of the five minutes in which a replay would be accepted: 50 purges a second, as between replicas. */
const MAX_NONCES = 16_384;
/** 640 GiB in chunks of 8 MiB are 80 lists and 80 deletions of a thousand names. */
export const CHUNKS_TIMEOUT_MS = 120_000;
const NO_BODY = new Uint8Array(0);

export interface PurgeOptions {
  /** Undefined = development: requests are not signed, as between replicas. */
  readonly keys: { current(): PeerKeys } | undefined;
  readonly peers: PeerView;
  readonly purge: (request: PurgeRequest) => void;
  readonly purgeChunks: (request: PurgeRequest, signal: AbortSignal) => Promise<PurgedChunks>;
  readonly clock: Clock;
}

export function purgeHandler(options: PurgeOptions): (c: Context) => Promise<Response> {
  const { clock } = options;
  const nonces = nonceMemory(MAX_NONCES);

  const refusal = (c: Context, target: string): string | undefined => {
    if (options.keys === undefined) return undefined;
    const headers = Object.fromEntries(c.req.raw.headers);
    const signed = { method: 'POST', target, receiver: options.peers.current().self, headers, body: NO_BODY };
    const verdict = verifyRequest(options.keys.current(), signed, clock.date());
    if (!verdict.ok) return `no valid MAC (${verdict.reason}): run the purge command in a pod of the cache`;
    return nonces.admit(verdict.nonce, verdict.dateMs, clock.date())
      ? undefined
      : 'replayed request: nonce already used';
  };

  return async (c) => {
    const { pathname, search } = new URL(c.req.url);
    const refused = refusal(c, pathname + search);
    if (refused !== undefined) return c.text(`${refused}\n`, 401);
    try {
      const request = parsePurgeQuery(search.slice(1));
      if (request.chunks !== true) {
        options.purge(request);
        return c.body(null, 204);
      }
      const late = () => new OrcaError('store_unavailable', `not finished within ${CHUNKS_TIMEOUT_MS} ms: purge again`);
      const { chunks, bytes } = await withDeadline(clock, CHUNKS_TIMEOUT_MS, late, c.req.raw.signal, (signal) =>
        options.purgeChunks(request, signal),
      );
      return c.json({ deletedChunks: chunks, deletedBytes: bytes } satisfies PurgeAnswer);
    } catch (thrown) {
      const error = asOrcaError(thrown, 'internal', 'unexpected');
      return new Response(`${error.message}\n`, { status: rowFor(error).status });
    }
  };
}
