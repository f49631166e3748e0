/**
 * Credentials out of a directory of files (a mounted Secret) that is looked at again while they are used, and read again
 * when it has changed.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';

/** Fresh enough for a rotation, rare enough that requests don't pay for it. */
const CHECK_INTERVAL_MS = 2_000;
/** A Secret that is replaced while it is read is read again; a third time in a row means that something writes it on end. */
const READ_ATTEMPTS = 3;

export interface SecretDirectoryOptions<Credentials> {
  readonly path: string;
  /** The names of the files. */
  readonly files: readonly string[];
  /** Of the files' trimmed contents, in their order; undefined where there is none. Throws where they are of no use. */
  readonly parse: (parts: readonly (string | undefined)[]) => Credentials;
  /** Milliseconds; only differences count. Default: this process' own clock. */
  readonly now?: (() => number) | undefined;
}

/** Nothing is read before the first call. */
export function openSecretDirectory<Credentials>(
  options: SecretDirectoryOptions<Credentials>,
): () => Promise<Credentials> {
  const { path, files, parse, now = () => performance.now() } = options;
  const paths = files.map((name) => join(path, name));
  let last: { readonly credentials: Credentials; readonly print: string } | undefined;
  let checkedMs = -Infinity;
  let running: Promise<Credentials> | undefined;

  /** All files of one state of the directory: a key of yesterday with a secret of today would be refused. */
  const readStable = async (): Promise<{ credentials: Credentials; print: string }> => {
    for (let attempt = 1; ; attempt++) {
      const print = await fingerprint(paths);
      const parts = await Promise.all(paths.map(readPart));
      if (print !== (await fingerprint(paths)) && attempt < READ_ATTEMPTS) continue;
      return { print, credentials: parse(parts) };
    }
  };
  const check = async (): Promise<Credentials> => {
    try {
      const print = await fingerprint(paths);
      if (last?.print !== print) last = await readStable();
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
async function fingerprint(paths: readonly string[]): Promise<string> {
  const prints = await Promise.all(
    paths.map(async (file) => {
      try {
        const { ino, mtimeMs, size } = await stat(file);
        return `${ino}:${mtimeMs}:${size}`;
      } catch (error) {
        return whenMissing(error, file, 'none');
      }
    }),
  );
  return prints.join(' ');
}

/** The trimmed content (editors and `echo` leave a newline); undefined if there is none. */
async function readPart(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    return whenMissing(error, file, undefined);
  }
}

function whenMissing<T>(error: unknown, file: string, answer: T): T {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return answer;
  throw new OrcaError('internal', `the credentials file ${file} can't be read`, { cause: error });
}
