/**
 * S3 credentials from the configured source: a directory of files (a mounted Secret, reread when it changes),
 * environment variables, or the AWS SDK's default chain (IRSA, workload identity, instance role).
 */
import { join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { Credentials } from '#cache/wire/s3/sigv4.ts';
import type { Soon } from '#shared/soon.ts';
import { openDefaultChain } from './aws-default-chain.ts';
import { openSecretDirectory } from './secret-directory.ts';

/** Where to read S3 credentials. Files are read again when they change. Never contains a secret itself. */
export type CredentialsSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'env'; readonly accessKeyIdVar: string; readonly secretAccessKeyVar: string }
  | { readonly kind: 'default-chain' }
  /** Requests are not signed. */
  | { readonly kind: 'anonymous' };

/** Undefined = requests are not signed. */
export type CredentialsProvider = () => Soon<Credentials | undefined>;

export interface CredentialsOptions {
  /** For the default chain, which may call a regional endpoint. */
  readonly region: string;
  /** A monotonic clock in ms. */
  readonly now?: (() => number) | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The environment that names HTTP proxies, for the default chain. Default: no proxy. */
  readonly proxyEnv?: Env | undefined;
  /** For one request to a token service. */
  readonly timeoutMs?: number | undefined;
}

/** Nothing is read before the first call. A missing part rejects with an OrcaError that names its file or variable. */
export function openCredentials(source: CredentialsSource, options: CredentialsOptions): CredentialsProvider {
  if (source.kind === 'directory') return fromDirectory(source.path, options.now);
  if (source.kind === 'anonymous') return async () => undefined;
  if (source.kind === 'default-chain') return openDefaultChain(options);
  const env = options.env ?? process.env;
  // Read once: the environment does not change, and each access to process.env scans all of it.
  let found: Credentials | undefined;
  const read = async (): Promise<Credentials> => {
    found = {
      accessKeyId: fromEnv(env, source.accessKeyIdVar),
      secretAccessKey: fromEnv(env, source.secretAccessKeyVar),
    };
    return found;
  };
  return () => found ?? read();
}

const FILES = ['access-key-id', 'secret-access-key', 'session-token'] as const;

function fromDirectory(path: string, now: (() => number) | undefined): CredentialsProvider {
  return openSecretDirectory({
    path,
    files: FILES,
    now,
    parse([accessKeyId, secretAccessKey, sessionToken]) {
      for (const [name, value] of [
        ['access-key-id', accessKeyId],
        ['secret-access-key', secretAccessKey],
      ] as const)
        if (value === undefined)
          throw new OrcaError('internal', `the credentials file ${join(path, name)} is missing or empty`);
      return { accessKeyId: accessKeyId ?? '', secretAccessKey: secretAccessKey ?? '', sessionToken };
    },
  });
}

function fromEnv(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]?.trim();
  if (value === undefined || value === '')
    throw new OrcaError('internal', `the environment variable ${name} is not set`);
  return value;
}
