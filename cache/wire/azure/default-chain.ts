/**
 * Bearer tokens from the default chain of `@azure/identity`: a service principal in the environment, workload identity,
 * the managed identity of a node, the Azure CLI. The package is loaded only when needed.
 */
import type { DefaultAzureCredentialOptions, TokenCredential } from '@azure/identity';
import { OrcaError } from '#cache/core/errors.ts';
import { openRenewing } from '#cache/wire/renewing.ts';

/** The same in all clouds. */
const SCOPE = 'https://storage.azure.com/.default';
/** The limit of each request to a token service: the package passes the signal to some of them only. */
const REQUEST_TIMEOUT_MS = 5_000;
const METADATA_SERVICE = '169.254.169.254';
/** The first repetition of a request follows after a second, and the whole chain has ten. */
const MAX_RETRIES = 1;

const NOTHING_CONFIGURED =
  'no Azure credentials: neither a credentials directory nor an account key is configured, and the default chain has no token';

export interface AzureChainOptions {
  /** A monotonic clock in ms. */
  readonly now?: (() => number) | undefined;
  readonly timeoutMs?: number | undefined;
  /** Default: the package's own. */
  readonly httpClient?: DefaultAzureCredentialOptions['httpClient'];
}

/** Nothing is read before the first call. Rejects with an OrcaError that never contains a token. */
export function openAzureChain(options: AzureChainOptions = {}): () => Promise<string> {
  let credential: TokenCredential | undefined;
  const load = async (): Promise<TokenCredential> => {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential(credentialOptions(options.httpClient));
  };
  return openRenewing({
    ...options,
    late: (limitMs) => new OrcaError('internal', `no Azure token within ${limitMs} ms`),
    async issue(signal) {
      try {
        credential ??= await load();
        const issued = await credential.getToken(SCOPE, { abortSignal: signal });
        // Printable ASCII: a line break would start another header.
        if (issued === null || !/^[\x21-\x7e]+$/.test(issued.token)) throw new Error('the token is malformed');
        return { value: issued.token, lifetimeMs: Math.max(0, issued.expiresOnTimestamp - Date.now()) };
      } catch (error) {
        throw new OrcaError('internal', `${NOTHING_CONFIGURED}${reasonOf(error)}`, { cause: error });
      }
    },
  });
}

function credentialOptions(httpClient: AzureChainOptions['httpClient']): DefaultAzureCredentialOptions {
  return {
    // An authority that the operator configures is trusted: no request to a public service in a private cloud.
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: MAX_RETRIES },
    additionalPolicies: [
      {
        position: 'perRetry',
        policy: {
          name: 'orcacache',
          sendRequest(request, next) {
            request.timeout =
              request.timeout === 0 ? REQUEST_TIMEOUT_MS : Math.min(request.timeout, REQUEST_TIMEOUT_MS);
            // The metadata service of a node is reachable only from the node.
            if (new URL(request.url).hostname === METADATA_SERVICE) delete request.agent;
            return next(request);
          },
        },
      },
    ],
    ...(httpClient !== undefined && { httpClient }),
  };
}

/** The number of Entra's error, which its documentation explains. */
function reasonOf(error: unknown): string {
  const code = /AADSTS\d{1,10}/.exec(error instanceof Error ? error.message : '')?.[0];
  return code === undefined ? '' : ` (${code})`;
}
