/**
 * Azure credentials from the configured source: a directory with an account key or a SAS token (a mounted Secret,
 * reread when it changes), an environment variable, or the default chain.
 */
import { join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';
import type { Soon } from '#shared/soon.ts';
import { openSecretDirectory } from '#cache/wire/secret-directory.ts';
import { openAzureChain, type AzureChainOptions } from './default-chain.ts';

/** Where to read Azure credentials; an account key is a single string. Never contains a secret itself. */
export type AzureCredentialsSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'env'; readonly accountKeyVar: string }
  | { readonly kind: 'default-chain' }
  | { readonly kind: 'anonymous' };

export type AzureCredentials =
  | { readonly kind: 'shared-key'; readonly key: Buffer }
  /** `query` is appended to a URL, without `?`; `expiresMs` is Unix time, if the token contains it. */
  | { readonly kind: 'sas'; readonly query: string; readonly expiresMs: number | undefined }
  | { readonly kind: 'bearer'; readonly token: string }
  /** Requests carry no credentials. */
  | { readonly kind: 'anonymous' };

export type AzureCredentialsProvider = () => Soon<AzureCredentials>;

export interface AzureCredentialsOptions {
  /** A monotonic clock in ms. */
  readonly now?: () => number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For one token exchange. */
  readonly timeoutMs?: number;
  /** The HTTP client of the default chain. Default: the package's own. */
  readonly httpClient?: AzureChainOptions['httpClient'];
}

/**
 * Nothing is read before the first call. Missing or malformed credentials reject with an OrcaError that names their
 * source.
 */
export function openAzureCredentials(
  source: AzureCredentialsSource,
  options: AzureCredentialsOptions = {},
): AzureCredentialsProvider {
  if (source.kind === 'anonymous') return async () => source;
  if (source.kind === 'directory') return fromDirectory(source.path, options.now);
  if (source.kind === 'env') {
    const env = options.env ?? process.env;
    return async () => {
      const text = env[source.accountKeyVar]?.trim() ?? '';
      if (text === '') throw new OrcaError('internal', `the environment variable ${source.accountKeyVar} is not set`);
      return accountKey(text, `the environment variable ${source.accountKeyVar}`);
    };
  }
  const token = openAzureChain(options);
  return async () => ({ kind: 'bearer', token: await token() });
}

const FILES = ['account-key', 'sas-token'] as const;

function fromDirectory(path: string, now: (() => number) | undefined): AzureCredentialsProvider {
  const [keyFile, sasFile] = [join(path, FILES[0]), join(path, FILES[1])];
  return openSecretDirectory({
    path,
    files: FILES,
    now,
    parse([key, sas]) {
      if (key !== undefined && sas !== undefined)
        throw new OrcaError('internal', `${path} contains both ${FILES.join(' and ')}: remove one of them`);
      if (key !== undefined) return accountKey(key, keyFile);
      if (sas !== undefined) return sasToken(sas, sasFile);
      throw new OrcaError('internal', `${path} contains neither ${FILES.join(' nor ')}`);
    },
  });
}

function accountKey(text: string, source: string): AzureCredentials {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new OrcaError('internal', `${source} is not a base64 account key`);
  return { kind: 'shared-key', key: Buffer.from(text, 'base64') };
}

/** Accepts the leading `?` that portals show. */
function sasToken(text: string, source: string): AzureCredentials {
  const query = text.replace(/^\?/, '');
  if (!/^[\x21\x22\x24-\x7e]+$/.test(query) || !/(?:^|&)sig=./.test(query))
    throw new OrcaError('internal', `${source} is not a SAS token: it must be a query string with sig=`);
  const expiresMs = Date.parse(new URLSearchParams(query).get('se') ?? '');
  return { kind: 'sas', query, expiresMs: Number.isNaN(expiresMs) ? undefined : expiresMs };
}
