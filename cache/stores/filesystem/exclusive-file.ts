/**
 * Files that are complete or do not exist: written under a temporary name, synced, then named by `link(2)`, which exactly
 * one writer wins, or by `rename(2)`, which replaces.
 */
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';
import type { FileCall, Files, OpenFile } from './files.ts';

export const TEMPORARY_PREFIX = '.tmp-';
/** Longer than any upload: an older temporary file belongs to a process that has exited. */
const STALE_MS = 60 * 60 * 1000;
/** An unlink is fast. If it fails, a later process sweeps the file. */
const CLEAN_UP_LIMIT_MS = 5_000;
/** A replica that removes an object's last chunk removes its directory too, perhaps right after it was created. */
const DIRECTORY_ATTEMPTS = 4;
const NEVER = new AbortController().signal;

/** Writes `pieces` to a new temporary file in `root` and makes it durable; deletes it on failure. */
export async function writeTemporary(
  files: Files,
  root: string,
  pieces: readonly Uint8Array[],
  call: FileCall,
): Promise<string> {
  const path = join(root, `${TEMPORARY_PREFIX}${randomUUID()}`);
  const file = await files.create(path, call);
  try {
    try {
      await writeAll(file, pieces, call);
      await file.sync(call);
    } finally {
      file.close();
    }
    return path;
  } catch (error) {
    await cleanUp(files, path, error);
    throw error;
  }
}

async function writeAll(file: OpenFile, pieces: readonly Uint8Array[], call: FileCall): Promise<void> {
  for (const piece of pieces)
    // A write may accept fewer bytes than it was given.
    for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done), call);
}

/** Links a temporary file to its name; false if the name exists. The temporary name remains. */
export async function linkExclusive(files: Files, temporary: string, path: string, call: FileCall): Promise<boolean> {
  try {
    await inDirectoryOf(files, path, call, () => files.link(temporary, path, call));
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Renames a temporary file, replacing an existing one. */
export async function replaceFile(files: Files, temporary: string, path: string, call: FileCall): Promise<void> {
  await inDirectoryOf(files, path, call, () => files.rename(temporary, path, call));
}

/** Runs `step`, after creating the directory if it is missing, and makes the new name durable. */
async function inDirectoryOf(files: Files, path: string, call: FileCall, step: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await step();
      break;
    } catch (error) {
      // Created only on demand: most chunks share the directory of their object.
      if (!isErrno(error, 'ENOENT') || attempt >= DIRECTORY_ATTEMPTS) throw error;
      const directory = dirname(path);
      const first = await files.mkdir(directory, call);
      if (first !== undefined) for (const made of upTo(directory, first)) await files.syncDirectoryOf(made, call);
    }
  }
  await files.syncDirectoryOf(path, call);
}

/** `from` and its parents up to and including `top`. */
function upTo(from: string, top: string): string[] {
  const paths = [from];
  for (let at = from; at !== top && at !== dirname(at);) {
    at = dirname(at);
    paths.push(at);
  }
  return paths;
}

/** Removes a file if it exists. */
export async function remove(files: Files, path: string, call: FileCall): Promise<void> {
  try {
    await files.unlink(path, call);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/**
 * Removes a temporary file, whatever ended the call that needed it. No caller waits for it after a call that was cancelled,
 * or whose file system does not respond.
 */
export async function cleanUp(files: Files, path: string, error: unknown): Promise<void> {
  const removing = remove(files, path, { signal: NEVER, limitMs: CLEAN_UP_LIMIT_MS }).catch(() => {});
  if (!(error instanceof OrcaError)) await removing;
}

/** Removes temporary files of processes that have exited; returns their number. */
export async function sweepTemporary(files: Files, root: string, nowMs: number, call: FileCall): Promise<number> {
  let swept = 0;
  for (const name of await files.readdir(root, call)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    const path = join(root, name);
    try {
      if (nowMs - (await files.stat(path, call)).mtimeMs < STALE_MS) continue;
    } catch (error) {
      // Its writer finished, or another replica has removed it.
      if (isErrno(error, 'ENOENT')) continue;
      throw error;
    }
    await remove(files, path, call);
    swept += 1;
  }
  return swept;
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
