/**
 * Files that are complete or do not exist: written under a temporary name, synced, then named by `link(2)`, which exactly
 * one writer wins, or by `rename(2)`, which replaces.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cancelledBy } from '#cache/wire/http1/sink.ts';

export const TEMPORARY_PREFIX = '.tmp-';
/** Longer than any upload: an older temporary file belongs to a process that has exited. */
const STALE_MS = 60 * 60 * 1000;

/** Writes `pieces` to a new temporary file in `root` and makes it durable; deletes it on failure. */
export async function writeTemporary(
  root: string,
  pieces: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<string> {
  const path = join(root, `${TEMPORARY_PREFIX}${randomUUID()}`);
  const file = await open(path, 'wx', 0o640);
  try {
    try {
      await writeAll(file, pieces, signal);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  } catch (error) {
    await remove(path);
    throw error;
  }
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  for (const piece of pieces) {
    let done = 0;
    while (done < piece.length) {
      if (signal.aborted) throw cancelledBy(signal);
      // A write may accept fewer bytes than it was given.
      done += (await file.write(piece, done, piece.length - done)).bytesWritten;
    }
  }
}

/** Links a temporary file to its name; false if the name exists. The temporary name remains. */
export async function linkExclusive(temporary: string, path: string): Promise<boolean> {
  try {
    await inDirectoryOf(path, () => link(temporary, path));
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Renames a temporary file, replacing an existing one. */
export async function replaceFile(temporary: string, path: string): Promise<void> {
  await inDirectoryOf(path, () => rename(temporary, path));
}

/** Runs `step`, after creating the directory if it is missing, and makes the new name durable. */
async function inDirectoryOf(path: string, step: () => Promise<void>): Promise<void> {
  const directory = dirname(path);
  try {
    await step();
  } catch (error) {
    // Created only on demand: most chunks share the directory of their object. A cleaner may have removed it meanwhile.
    if (!isErrno(error, 'ENOENT')) throw error;
    const first = await mkdir(directory, { recursive: true, mode: 0o750 });
    if (first !== undefined) for (const made of upTo(directory, dirname(first))) await syncDirectory(made);
    await step();
  }
  await syncDirectory(directory);
}

/** The parents of `from` up to and including `top`. */
function upTo(from: string, top: string): string[] {
  const parents: string[] = [];
  for (let at = from; at !== top && at !== dirname(at);) {
    at = dirname(at);
    parents.push(at);
  }
  return parents;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes a file if it exists. */
export async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Removes temporary files of processes that have exited; returns their number. */
export async function sweepTemporary(root: string, nowMs: number): Promise<number> {
  let swept = 0;
  for (const name of await readdir(root)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    const path = join(root, name);
    try {
      if (nowMs - (await stat(path)).mtimeMs < STALE_MS) continue;
    } catch (error) {
      // Its writer finished, or another replica has removed it.
      if (isErrno(error, 'ENOENT')) continue;
      throw error;
    }
    await remove(path);
    swept += 1;
  }
  return swept;
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
