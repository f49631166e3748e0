/**
 * `purge [--chunks] BUCKET KEY`, run in a replica's pod (`kubectl exec`): calls the replica's purge API, signed with the cluster's
 * key.
 */
import { randomBytes } from 'node:crypto';
import type { Config } from '#cache/config/config.ts';
import { connectableHost, formatAddress } from '#cache/config/listen-address.ts';
import { NONCE_BYTES, signRequest } from '#cache/core/peer/auth.ts';
import { formatPurgeTarget, type PurgeAnswer, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import { readPeerKeys } from '#cache/peers/keys.ts';

/** The call stays on this machine, and the replica answers from memory. */
const TIMEOUT_MS = 5_000;
/** Longer than the replica's own limit, whose message names the reason. */
const CHUNKS_TIMEOUT_MS = 130_000;
const NOTHING: PurgeAnswer = { deletedChunks: 0, deletedBytes: 0 };

/** Resolves with the refusal, or with what was deleted. Rejects if the replica can't be reached. */
export async function purge(config: Config, request: PurgeRequest): Promise<string | PurgeAnswer> {
  const { host, port } = config.listen.ops;
  const base = `http://${formatAddress({ host: connectableHost(host), port })}`;
  const target = formatPurgeTarget(request);
  const { authDirectory } = config.peers;
  let headers: Record<string, string> = {};
  if (authDirectory !== undefined) {
    const status = (await (await fetch(`${base}/status`, timeLimit(TIMEOUT_MS))).json()) as { peers: { self: string } };
    const receiver = status.peers.self;
    const toSign = { method: 'POST', target, receiver, headers: {}, body: new Uint8Array(0) };
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    headers = { ...signRequest(await readPeerKeys(authDirectory), toSign, Date.now(), nonce) };
  }
  const limit = timeLimit(request.chunks === true ? CHUNKS_TIMEOUT_MS : TIMEOUT_MS);
  const response = await fetch(base + target, { method: 'POST', headers, ...limit });
  if (response.status === 204) return NOTHING;
  if (response.status === 200) return (await response.json()) as PurgeAnswer;
  return `${response.status}: ${(await response.text()).trim()}`;
}

function timeLimit(timeoutMs: number): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(timeoutMs) };
}
