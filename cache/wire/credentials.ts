/**
 * Credentials from where the configuration says: a directory of files (a mounted Secret) that is read again when it
 * changes, environment variables, or the AWS SDK's default chain (IRSA, workload identity, instance role).
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialsSource } from '#cache/config/config.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Credentials } from '#cache/wire/sigv4.ts';

/** Fresh enough for a rotation, rare enough that requests don't pay for it. */
const CHECK_INTERVAL_MS = 2_000;
/** A Secret that is replaced while it is read is read again; a third time in a row means that something writes it on end. */
const READ_ATTEMPTS = 3;

export type CredentialsProvider = () => Promise<Credentials>;

export interface CredentialsOptions {
  /** For the default chain, which may have to ask a regional endpoint. */
  readonly region: string;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Nothing is read before the first call. A missing part rejects with an OrcaError that names where it should be. */
export function openCredentials(source: CredentialsSource, options: CredentialsOptions): CredentialsProvider {
  if (source.kind === 'directory') return fromDirectory(source.path, options.now ?? (() => performance.now()));
  if (source.kind === 'default-chain') return fromDefaultChain(options.region);
  const env = options.env ?? process.env;
  return async () => ({
    accessKeyId: fromEnv(env, source.accessKeyIdVar),
    secretAccessKey: fromEnv(env, source.secretAccessKeyVar),
  });
}

function fromDirectory(path: string, now: () => number): CredentialsProvider {
  let last: { readonly credentials: Credentials; readonly print: string } | undefined;
  let checkedMs = -Infinity;
  let running: Promise<Credentials> | undefined;
  const check = async (): Promise<Credentials> => {
    try {
      const print = await fingerprint(path);
      if (last?.print !== print) last = await readStable(path);
      return last.credentials;
    } catch (error) {
      // What worked goes on working: refused credentials show at the origin, a half-replaced directory heals.
      if (last !== undefined) return last.credentials;
      throw error;
    } finally {
      running = undefined;
    }
  };
  return async () => {
    if (last !== undefined && now() - checkedMs < CHECK_INTERVAL_MS) return last.credentials;
    checkedMs = now();
    return (running ??= check());
  };
}

const FILES = ['access-key-id', 'secret-access-key', 'session-token'] as const;

/** Kubernetes swaps the `..data` symlink: then inode and time change behind every name. */
async function fingerprint(path: string): Promise<string> {
  const prints = await Promise.all(
    FILES.map(async (name) => {
      try {
        const { ino, mtimeMs, size } = await stat(join(path, name));
        return `${ino}:${mtimeMs}:${size}`;
      } catch (error) {
        if (isMissing(error)) return 'none';
        throw new OrcaError('internal', `the credentials file ${join(path, name)} can't be read`, { cause: error });
      }
    }),
  );
  return prints.join(' ');
}

/** All files of one state of the directory: a key of yesterday with a secret of today would be refused. */
async function readStable(path: string): Promise<{ credentials: Credentials; print: string }> {
  for (let attempt = 1; ; attempt++) {
    const print = await fingerprint(path);
    const [accessKeyId, secretAccessKey, sessionToken] = await Promise.all(FILES.map((name) => readPart(path, name)));
    if (print !== (await fingerprint(path)) && attempt < READ_ATTEMPTS) continue;
    for (const [name, value] of [
      ['access-key-id', accessKeyId],
      ['secret-access-key', secretAccessKey],
    ] as const)
      if (value === undefined)
        throw new OrcaError('internal', `the credentials file ${join(path, name)} is missing or empty`);
    return {
      print,
      credentials: { accessKeyId: accessKeyId ?? '', secretAccessKey: secretAccessKey ?? '', sessionToken },
    };
  }
}

/** The trimmed content (editors and `echo` leave a newline); undefined if there is none. */
async function readPart(path: string, name: string): Promise<string | undefined> {
  try {
    const text = (await readFile(join(path, name), 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new OrcaError('internal', `the credentials file ${join(path, name)} can't be read`, { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function fromEnv(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]?.trim();
  if (value === undefined || value === '')
    throw new OrcaError('internal', `the environment variable ${name} is not set`);
  return value;
}

/** The SDK is loaded only where it is needed: it is far larger than everything else in the process. */
function fromDefaultChain(region: string): CredentialsProvider {
  let chain: Promise<CredentialsProvider> | undefined;
  const load = async (): Promise<CredentialsProvider> => {
    const { S3Client } = await import('@aws-sdk/client-s3');
    const { credentials } = new S3Client({ region }).config;
    // The SDK's provider remembers what it got until shortly before it expires.
    return async () => {
      try {
        const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
        return { accessKeyId, secretAccessKey, sessionToken };
      } catch (error) {
        throw new OrcaError('internal', 'the AWS default chain has no credentials', { cause: error });
      }
    };
  };
  return async () => (await (chain ??= load()))();
}
