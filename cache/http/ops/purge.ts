/** `POST /purge`: forgets, cluster-wide, what is known of an object. Only who holds the cluster's secret may ask. */
import type { Context } from 'hono';
import { asOrcaError } from '#cache/core/errors.ts';
import { nonceMemory, verifyRequest, type PeerKeys } from '#cache/core/peer/auth.ts';
import { parsePurgeQuery, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import { rowFor } from '#cache/http/respond.ts';

/** Purges of the five minutes in which they could be replayed: 50 a second, as between replicas. */
const MAX_NONCES = 16_384;
const NO_BODY = new Uint8Array(0);

export interface PurgeOptions {
  /** Undefined = development: as between replicas, nothing is signed. */
  readonly keys: { current(): PeerKeys } | undefined;
  readonly peers: PeerView;
  readonly purge: (request: PurgeRequest) => void;
  readonly clock: Clock;
}

export function purgeHandler(options: PurgeOptions): (c: Context) => Response {
  const { clock } = options;
  const nonces = nonceMemory(MAX_NONCES);

  const refusal = (c: Context, target: string): string | undefined => {
    if (options.keys === undefined) return undefined;
    const headers = Object.fromEntries(c.req.raw.headers);
    const signed = { method: 'POST', target, receiver: options.peers.current().self, headers, body: NO_BODY };
    const verdict = verifyRequest(options.keys.current(), signed, clock.date());
    if (!verdict.ok) return `the cluster's MAC is needed: ${verdict.reason}`;
    return nonces.admit(verdict.nonce, verdict.dateMs, clock.date()) ? undefined : 'this call was made before';
  };

  return (c) => {
    const { pathname, search } = new URL(c.req.url);
    const refused = refusal(c, pathname + search);
    if (refused !== undefined) return c.text(`${refused}\n`, 401);
    try {
      options.purge(parsePurgeQuery(search.slice(1)));
      return c.body(null, 204);
    } catch (thrown) {
      const error = asOrcaError(thrown, 'internal', 'unexpected');
      return new Response(`${error.message}\n`, { status: rowFor(error).status });
    }
  };
}
