/**
 * Credentials from the AWS SDK's default chain: environment, IRSA, EKS Pod Identity, instance role, and more. The SDK is
 * loaded only when needed: it is far larger than the rest of the process.
 */
import { Agent as HttpsAgent } from 'node:https';
import { OrcaError } from '#cache/core/errors.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { Credentials } from '#cache/wire/s3/sigv4.ts';
import { openRenewing } from './renewing.ts';

/** For each attempt of the SDK at a token service, so that an exchange that no request waits for ends too. */
const REQUEST_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 2_000;

export interface DefaultChainOptions {
  /** The region of the token service. */
  readonly region: string;
  /** The environment that names HTTP proxies. Default: no proxy. */
  readonly proxyEnv?: Env | undefined;
  /** A monotonic clock in ms. */
  readonly now?: (() => number) | undefined;
  readonly timeoutMs?: number | undefined;
}

type Chain = (options: {
  readonly forceRefresh: boolean;
}) => Promise<Credentials & { readonly expiration?: Date | undefined }>;

/** Nothing is read before the first call. */
export function openDefaultChain({
  region,
  proxyEnv,
  now,
  timeoutMs,
}: DefaultChainOptions): () => Promise<Credentials> {
  const load = async (): Promise<Chain> => {
    const { S3Client } = await import('@aws-sdk/client-s3');
    // The client itself sends nothing: its settings are those of the token service's client.
    const { credentials } = new S3Client({
      region,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        httpsAgent: new HttpsAgent({ keepAlive: false, proxyEnv: { ...proxyEnv } }),
      },
    }).config;
    return credentials;
  };
  return openRenewing<Credentials>({
    now,
    timeoutMs,
    late: (limitMs) => new OrcaError('internal', `the AWS default chain gave no credentials within ${limitMs} ms`),
    async issue() {
      try {
        // A new chain each time: the SDK's joins every call to the one in progress, even if that never ends.
        const chain = await load();
        const { accessKeyId, secretAccessKey, sessionToken, expiration } = await chain({ forceRefresh: true });
        const lifetimeMs = expiration === undefined ? Infinity : Math.max(0, expiration.getTime() - Date.now());
        return { value: { accessKeyId, secretAccessKey, sessionToken }, lifetimeMs };
      } catch (error) {
        throw new OrcaError('internal', 'the AWS default chain has no credentials', { cause: error });
      }
    },
  });
}
