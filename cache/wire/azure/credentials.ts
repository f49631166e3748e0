/**
 * Azure credentials from where the configuration says: a directory with an account key or a SAS token (a mounted Secret)
 * that is read again when it changes, an environment variable, or workload identity.
 */
import { join } from 'node:path';
import type { AzureCredentialsSource } from '#cache/config/config.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { openSecretDirectory } from '#cache/wire/secret-directory.ts';
import { openWorkloadIdentity } from './workload-identity.ts';

export type AzureCredentials =
  | { readonly kind: 'shared-key'; readonly key: Buffer }
  /** `query` is what is appended to a URL, without `?`; `expiresMs` in Unix time, where it says so. */
  | { readonly kind: 'sas'; readonly query: string; readonly expiresMs: number | undefined }
  | { readonly kind: 'bearer'; readonly token: string };

export type AzureCredentialsProvider = () => Promise<AzureCredentials>;

export interface AzureCredentialsOptions {
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Nothing is read before the first call. What is missing or malformed rejects with an OrcaError that names its place. */
export function openAzureCredentials(
  source: AzureCredentialsSource,
  options: AzureCredentialsOptions = {},
): AzureCredentialsProvider {
  if (source.kind === 'directory') return fromDirectory(source.path, options.now);
  if (source.kind === 'env') {
    const env = options.env ?? process.env;
    return async () => {
      const text = env[source.accountKeyVar]?.trim() ?? '';
      if (text === '') throw new OrcaError('internal', `the environment variable ${source.accountKeyVar} is not set`);
      return accountKey(text, `the environment variable ${source.accountKeyVar}`);
    };
  }
  const token = openWorkloadIdentity(options);
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
        throw new OrcaError('internal', `${path} holds both ${FILES.join(' and ')}: one of them must go`);
      if (key !== undefined) return accountKey(key, keyFile);
      if (sas !== undefined) return sasToken(sas, sasFile);
      throw new OrcaError('internal', `neither ${keyFile} nor ${FILES[1]} beside it holds anything`);
    },
  });
}

function accountKey(text: string, place: string): AzureCredentials {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new OrcaError('internal', `${place} is no account key in base64`);
  return { kind: 'shared-key', key: Buffer.from(text, 'base64') };
}

/** With or without the `?` that portals show before it. */
function sasToken(text: string, place: string): AzureCredentials {
  const query = text.replace(/^\?/, '');
  if (!/^[\x21\x22\x24-\x7e]+$/.test(query) || !/(?:^|&)sig=./.test(query))
    throw new OrcaError('internal', `${place} is no SAS token`);
  const expiresMs = Date.parse(new URLSearchParams(query).get('se') ?? '');
  return { kind: 'sas', query, expiresMs: Number.isNaN(expiresMs) ? undefined : expiresMs };
}
