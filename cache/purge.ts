/** `purge BUCKET KEY`, run beside a replica (`kubectl exec`): tells it, signed with the cluster's secret. */
import { randomBytes } from 'node:crypto';
import { NONCE_BYTES, signRequest } from '#cache/core/peer/auth.ts';
import { formatPurgeTarget, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import type { Config } from '#cache/config/config.ts';
import { readPeerKeys } from '#cache/peers/keys.ts';

/** On this machine; the replica answers from memory. */
const TIMEOUT_MS = 5_000;

/** Resolves with what went wrong, undefined = it is done. Rejects where the replica can't be reached. */
export async function purge(config: Config, request: PurgeRequest): Promise<string | undefined> {
  const { host, port } = config.listen.ops;
  const address = ['0.0.0.0', '::', '[::]'].includes(host) ? '127.0.0.1' : host;
  const base = `http://${address}:${port}`;
  const target = formatPurgeTarget(request);
  const { authDirectory } = config.peers;
  let headers: Record<string, string> = {};
  if (authDirectory !== undefined) {
    const status = (await (await fetch(`${base}/status`, bounded())).json()) as { peers: { self: string } };
    const receiver = status.peers.self;
    const signed = { method: 'POST', target, receiver, headers: {}, body: new Uint8Array(0) };
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    headers = { ...signRequest(await readPeerKeys(authDirectory), signed, Date.now(), nonce) };
  }
  const response = await fetch(base + target, { method: 'POST', headers, ...bounded() });
  if (response.status === 204) return undefined;
  return `${response.status}: ${(await response.text()).trim()}`;
}

function bounded(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(TIMEOUT_MS) };
}
