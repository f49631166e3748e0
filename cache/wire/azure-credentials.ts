/**
 * Azure credentials from where the configuration says: a directory with an account key or a SAS token (a mounted Secret)
 * that is read again when it changes, an environment variable, or workload identity.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AzureCredentialsSource } from '#cache/config/config.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { openWorkloadIdentity } from '#cache/wire/azure-workload-identity.ts';

/** Fresh enough for a rotation, rare enough that requests don't pay for it. */
const CHECK_INTERVAL_MS = 2_000;
/** A Secret that is replaced while it is read is read again; a third time in a row means that something writes it on end. */
const READ_ATTEMPTS = 3;

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
  if (source.kind === 'directory') return fromDirectory(source.path, options.now ?? (() => performance.now()));
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

function fromDirectory(path: string, now: () => number): AzureCredentialsProvider {
  let last: { readonly credentials: AzureCredentials; readonly print: string } | undefined;
  let checkedMs = -Infinity;
  let running: Promise<AzureCredentials> | undefined;
  const check = async (): Promise<AzureCredentials> => {
    try {
      const print = await fingerprint(path);
      if (last?.print !== print) last = await readStable(path);
      return last.credentials;
    } catch (error) {
      // What worked goes on working: refused credentials show at the service, a half-replaced directory heals.
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

/** Kubernetes swaps the `..data` symlink: then inode and time change behind every name. */
async function fingerprint(path: string): Promise<string> {
  const prints = await Promise.all(
    FILES.map(async (name) => {
      try {
        const { ino, mtimeMs, size } = await stat(join(path, name));
        return `${ino}:${mtimeMs}:${size}`;
      } catch (error) {
        return whenMissing(error, join(path, name), 'none');
      }
    }),
  );
  return prints.join(' ');
}

async function readStable(path: string): Promise<{ credentials: AzureCredentials; print: string }> {
  for (let attempt = 1; ; attempt++) {
    const print = await fingerprint(path);
    const [key = '', sas = ''] = await Promise.all(FILES.map((name) => readPart(join(path, name))));
    if (print !== (await fingerprint(path)) && attempt < READ_ATTEMPTS) continue;
    if (key === '' && sas === '')
      throw new OrcaError('internal', `neither ${join(path, FILES[0])} nor ${FILES[1]} beside it holds anything`);
    if (key !== '' && sas !== '')
      throw new OrcaError('internal', `${path} holds both ${FILES.join(' and ')}: one of them must go`);
    const credentials = key === '' ? sasToken(sas, join(path, FILES[1])) : accountKey(key, join(path, FILES[0]));
    return { print, credentials };
  }
}

/** The trimmed content (editors and `echo` leave a newline); empty if there is none. */
async function readPart(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    return whenMissing(error, file, '');
  }
}

function whenMissing(error: unknown, file: string, answer: string): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return answer;
  throw new OrcaError('internal', `the credentials file ${file} can't be read`, { cause: error });
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
