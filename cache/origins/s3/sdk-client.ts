/** The AWS SDK's client with the settings of the byte path: credentials, trust, proxies, and no retries. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3Client } from '@aws-sdk/client-s3';
import type { CredentialsProvider } from '#cache/wire/credentials-source.ts';
import { trustOf } from '#cache/wire/http1/trust.ts';
import { REQUESTER_PAYS, type S3ClientOptions } from '#cache/wire/s3/client.ts';
import type { Credentials } from '#cache/wire/s3/sigv4.ts';
import { traceHeaders } from '#shared/trace.ts';

const CONNECT_TIMEOUT_MS = 2_000;
const NO_CREDENTIALS: Credentials = { accessKeyId: '', secretAccessKey: '' };

/** `Client` is passed because the SDK is loaded only when needed. */
export function openSdkClient(
  Client: typeof S3Client,
  options: S3ClientOptions,
  provider: CredentialsProvider,
): S3Client {
  const { endpoint, region, forcePathStyle, caFile, env, credentials, requesterPays } = options;
  const proxyEnv = { ...env };
  const client = new Client({
    region,
    ...(endpoint !== '' && { endpoint }),
    forcePathStyle,
    credentials: async () => {
      const { sessionToken, ...keys } = (await provider()) ?? NO_CREDENTIALS;
      return { ...keys, ...(sessionToken !== undefined && { sessionToken }) };
    },
    ...(credentials.kind === 'anonymous' && { signer: { sign: async (request) => request } }),
    // The engine is the only retry layer.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      // Without this a response that does not begin is only a warning.
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent({ keepAlive: true, proxyEnv }),
      httpsAgent: new HttpsAgent({ keepAlive: true, proxyEnv, ...(caFile !== '' && { ca: trustOf(caFile) }) }),
    },
  });
  client.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: Record<string, string> }).headers, traceHeaders());
      return next(args);
    },
    // After the signature, which covers no header of a proxy.
    { step: 'finalizeRequest', priority: 'low', name: 'traceContext' },
  );
  if (requesterPays === true)
    client.middlewareStack.add(
      (next) => (args) => {
        Object.assign((args.request as { headers: Record<string, string> }).headers, REQUESTER_PAYS);
        return next(args);
      },
      { step: 'build', name: 'requesterPays' },
    );
  return client;
}
