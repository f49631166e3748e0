/**
 * Credentials from a directory of files (a mounted Secret), checked while they are in use and reread after a change.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';
import type { Soon } from '#shared/soon.ts';
import { withLimit } from './bounded.ts';

/** Frequent enough for a rotation, rare enough that requests do not notice the cost. */
const CHECK_INTERVAL_MS = 2_000;
/** A Secret replaced while it is being read is reread. After three attempts something keeps writing to it. */
const READ_ATTEMPTS = 3;
/** A mounted Secret is in memory. One that is not read by then is on a file system that hangs. */
const READ_TIMEOUT_MS = 2_000;

export interface SecretDirectoryOptions<Credentials> {
  readonly path: string;
  /** File names. */
  readonly files: readonly string[];
  /** Receives the files' trimmed contents in the order of `files`; undefined for a missing or empty file. May throw. */
  readonly parse: (parts: readonly (string | undefined)[]) => Credentials;
  /** A monotonic clock in ms. Default: the process's own. */
  readonly now?: (() => number) | undefined;
}

/** Nothing is read before the first call. */
export function openSecretDirectory<Credentials>(
  options: SecretDirectoryOptions<Credentials>,
): () => Soon<Credentials> {
  const { path, files, parse, now = () => performance.now() } = options;
  const paths = files.map((name) => join(path, name));
  let last: { readonly credentials: Credentials; readonly fingerprint: string } | undefined;
  let checkedMs = -Infinity;
  let running: Promise<Credentials> | undefined;

  /** Reads all files from one state of the directory: an old key with a new secret would be refused. */
  const readStable = async (): Promise<{ credentials: Credentials; fingerprint: string }> => {
    for (let attempt = 1; ; attempt++) {
      const before = await fingerprintOf(paths);
      const parts = await Promise.all(paths.map(readPart));
      if (before !== (await fingerprintOf(paths)) && attempt < READ_ATTEMPTS) continue;
      return { fingerprint: before, credentials: parse(parts) };
    }
  };
  const readChanged = async (): Promise<NonNullable<typeof last>> => {
    const fingerprint = await fingerprintOf(paths);
    return last?.fingerprint === fingerprint ? last : readStable();
  };
  const late = (): OrcaError => new OrcaError('internal', `${path} could not be read within ${READ_TIMEOUT_MS} ms`);
  const check = async (): Promise<Credentials> => {
    try {
      last = await withLimit(READ_TIMEOUT_MS, late, undefined, readChanged);
      return last.credentials;
    } catch (error) {
      // Keep the last credentials: a half-replaced directory recovers, and the service reports refused credentials.
      if (last !== undefined) return last.credentials;
      throw error;
    } finally {
      running = undefined;
    }
  };
  // Without a promise where nothing is read: most requests sign with what the one before has used.
  return () => {
    if (last !== undefined && now() - checkedMs < CHECK_INTERVAL_MS) return last.credentials;
    checkedMs = now();
    return (running ??= check());
  };
}

/** Kubernetes swaps the `..data` symlink, which changes inode and mtime of every file. */
async function fingerprintOf(paths: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    paths.map(async (file) => {
      try {
        const { ino, mtimeMs, size } = await stat(file);
        return `${ino}:${mtimeMs}:${size}`;
      } catch (error) {
        return whenMissing(error, file, 'none');
      }
    }),
  );
  return parts.join(' ');
}

/** The trimmed content (editors and `echo` append a newline); undefined if it is empty or missing. */
async function readPart(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    return whenMissing(error, file, undefined);
  }
}

function whenMissing<T>(error: unknown, file: string, fallback: T): T {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return fallback;
  throw new OrcaError('internal', `the credentials file ${file} can't be read`, { cause: error });
}
