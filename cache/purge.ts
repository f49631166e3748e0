/**
 * `purge BUCKET KEY`, run in a replica's pod (`kubectl exec`): calls the replica's purge API, signed with the cluster's
 * key.
 */
import { randomBytes } from 'node:crypto';
import type { Config } from '#cache/config/config.ts';
import { NONCE_BYTES, signRequest } from '#cache/core/peer/auth.ts';
import { formatPurgeTarget, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import { readPeerKeys } from '#cache/peers/keys.ts';

/** The call stays on this machine, and the replica answers from memory. */
const TIMEOUT_MS = 5_000;

/** Resolves with the refusal, undefined = purged. Rejects if the replica can't be reached. */
export async function purge(config: Config, request: PurgeRequest): Promise<string | undefined> {
  const { host, port } = config.listen.ops;
  const address = ['0.0.0.0', '::', '[::]'].includes(host) ? '127.0.0.1' : host;
  const base = `http://${address}:${port}`;
  const target = formatPurgeTarget(request);
  const { authDirectory } = config.peers;
  let headers: Record<string, string> = {};
  if (authDirectory !== undefined) {
    const status = (await (await fetch(`${base}/status`, timeLimit())).json()) as { peers: { self: string } };
    const receiver = status.peers.self;
    const toSign = { method: 'POST', target, receiver, headers: {}, body: new Uint8Array(0) };
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    headers = { ...signRequest(await readPeerKeys(authDirectory), toSign, Date.now(), nonce) };
  }
  const response = await fetch(base + target, { method: 'POST', headers, ...timeLimit() });
  if (response.status === 204) return undefined;
  return `${response.status}: ${(await response.text()).trim()}`;
}

function timeLimit(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(TIMEOUT_MS) };
}
